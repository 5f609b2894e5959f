"""English words by what they tell: nothing alone, little, or the same as another word.

All are written as words, not as stems.
"""

from collections.abc import Mapping
from functools import cache

__all__ = ["FUNCTION_WORDS", "NUMERALS", "connectives", "framing", "plain", "regular", "synonyms"]

_GRAMMAR = """
    although though despite besides whereas nevertheless nonetheless therefore thus hence like
    unlike aside apart rather instead upon perhaps maybe amid
    a an the and or but if then else of to in on at by for from with without about into onto upon
    over under as is are was were be been being am do does did done doing have has had having will
    would shall should can could may might must ought it its itself this that these those there
    here he him his himself she her hers herself they them their theirs themselves we us our ours
    ourselves you your yours yourself yourselves i me my mine myself no not nor neither either so
    than too very just also such own same both each few more most much many other others another
    some any all every only once again further still yet ever never always when whenever where
    wherever why how however what whatever which whichever who whom whose whoever while whilst
    during before after above below up down out off because since until till unless between among
    amongst within through throughout across along against toward towards per via versus vs etc eg
    ie s t d ll m re ve don didn doesn isn aren wasn weren won couldn wouldn shouldn hasn haven
    hadn don't didn't doesn't isn't aren't wasn't weren't won't couldn't wouldn't shouldn't hasn't
    haven't hadn't can't cannot it's that's there's here's he's she's they're we're you're i'm
    i've you've we've they've i'll you'll we'll they'll it'll let's what's who's
    """
FUNCTION_WORDS = frozenset(_GRAMMAR.split())
"""Words of grammar, which every text has."""

_NUMBERS = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety
    hundred thousand million billion trillion dozen
    """
NUMERALS = frozenset(_NUMBERS.split())

_FRAMING = """
    passage passages text texts context contexts document documents source sources article excerpt
    content provided given based according mention mentions mentioned mentioning state states stated
    stating describe describes described describing discuss discusses discussed explain explains
    explained note notes noted noting indicate indicates indicated indicating suggest suggests
    suggested suggesting list lists listed listing refer refers referred referring highlight
    highlights highlighted specify specifies specified answer answers question questions summary
    summarize summarise conclusion conclude overall additionally furthermore moreover however
    therefore thus hence finally lastly firstly secondly thirdly first second third next also
    example examples instance include includes included including following follow follows step steps
    information detail details detailed point points regarding respectively similarly likewise
    meanwhile otherwise instead generally typically usually often sometimes specifically particularly
    especially essentially basically simply important importantly note please keep mind remember
    ensure worth several various different certain general common commonly known called considered
    """
"""What answers say about themselves and their sources, and the words that tie sentences together."""

_CONNECTIVES = """
    overall additionally furthermore moreover however therefore thus hence finally lastly firstly
    secondly thirdly also similarly likewise meanwhile otherwise instead generally specifically
    conclusion summary
    """
"""Of these, the words that add nothing at all."""

_PLAIN = """
    able ability about access accommodate accomplish accord account achieve act action active activity actual actually
    add addition additional adequate adjust advantage advice advise affect age agree aid aim allow almost
    alone already alternative amount any anyone anything appear apply approach appropriate approximately
    area around arrange ask aspect assist associate assure attempt attention available average avoid
    away back bad basic basis become been begin being believe belong benefit beneficial best better big bit body both bring
    broad build business call capable care careful carefully carry case category cause center central certain certainly
    challenge chance change characteristic characterize check choice choose circumstance clear clearly close collection
    combination combine come comfortable common commonly community company compare comparison complete
    completely complex component comprehensive concept concern condition conduct connect consequence consider considerable
    consideration consist consistent constant contain continue contribute control convenient correct cost could
    cover create critical crucial current currently day deal decide decision deep define definition degree
    demonstrate depend dependent depending design desire desired despite determine develop development difference differ difficult
    difficulty direct direction directly discover display distinct do due each early ease easier easily easy effect effective
    effectively effort element eliminate emphasize employ enable encourage end enhance enjoy enough ensure enter
    entire entirely environment equal especially essential establish even event eventually every everyone
    everything exact exactly excellent exist existing expect experience express extend extra extremely face facilitate fact factor
    fail fairly fall familiar famous far fast feature feel field figure fill find fine finish fit focus
    follow form former found free frequent frequently full fully function further future gain gather
    general generally get give go goal good great greatly group grow growth guidance guide guideline happen hard have
    health healthy heavy help helpful high highly hold home hope hour huge human idea ideal identify impact
    importance important impossible improve improvement inclusion increase increasingly indeed individual influence initial initially inside
    intend intent interest involve issue item job join just keep key kind know knowledge lack large largely last lasting late later
    latter lead learn least leave left less let level life light like likely limit limited line little live local
    location long look lot low lower main mainly maintain maintenance major majority make manage manner mark material matter maximum mean
    means measure meet member mere method might minimize minimum minor minute model modern moment month move multiple
    name natural naturally nature near nearly necessary necessarily need negative new nice normal normally nothing notable
    notice number numerous object obtain obvious occasion occasionally occur offer often old one online only open operate
    operation opportunity option optional order ordinary organize origin original originally other outcome outside overall overview
    own page pair part participate particular particularly partly party pass past pay people per perform perhaps period person
    personal perspective phase phrase piece place plan play plenty point popular position positive possess possible possibly
    potential potentially practical practice precise prefer preference prepare presence present press prevent previous
    previously primarily primary principle prior problem procedure proceed process produce product professional proper
    properly property provide purpose put quality quick quickly quite raise range rapid rapidly rate rather reach read
    ready real really reason reasonable receive recent recently recognize recommend recommendation record reduce reference
    reflect regard regular regularly relate related relation relationship relative relatively relevant reliable remain remove
    represent require requirement resource respect respond response responsible rest result return right role
    round rule run safe safely safety same satisfy save say second section see seek seem select selection send sense separate
    series serve service set several share short show side sign significance significant significantly similar simple
    simply single situation size slightly slow slowly small smaller smooth social solution solve some someone something sometimes soon sort
    special specific spend stage standard stand start status stay step still stop strategy strong structure style subject
    subsequent substantial success successful successfully such sufficient suggest suitable support sure surround
    system take talk task team technique tell tend term test thing think thorough thoroughly though thought time tip today
    together tool top topic total towards track tradition traditional traditionally treat trend true try turn type typical typically ultimate
    ultimately understand understanding unique unit unlike unusual upon use useful user usual usually utilize valuable
    value variety various vary vast version view vital wait walk want warrant watch way week well whether whole wide widely will
    wish within word work world worth write wrong year yes young
    """
"""Words of wide use: a sentence may well have them where its source has others."""

_SYNONYMS = """
    use utilize utilise employ apply
    help assist aid support
    begin start commence
    end finish conclude terminate cease
    buy purchase acquire
    get obtain receive gain
    big large huge great sizable
    small little tiny
    quick fast rapid
    show demonstrate display indicate reveal
    need require necessary necessity essential required must
    important essential crucial vital critical significant key
    make create produce build form
    cause result lead trigger
    stop prevent avoid halt
    increase raise boost rise grow
    decrease reduce lower lessen decline drop
    choose select pick opt
    doctor physician clinician
    child kid
    car vehicle automobile
    job work occupation employment
    illness disease sickness
    medicine medication drug
    film movie
    buy purchase
    allow permit enable let
    contain include comprise consist feature
    provide give supply offer deliver
    remove eliminate delete
    repair fix mend
    keep maintain retain preserve
    tell inform notify
    ask request inquire
    wash clean rinse
    approximately about around roughly nearly almost
    several many multiple numerous various
    usually typically generally commonly normally often frequently
    quickly rapidly
    also additionally
    type kind sort variety
    method way approach technique procedure process means
    part component element portion piece
    place location site spot
    amount quantity
    entire whole complete full
    near close nearby
    different distinct
    same identical equal
    call name term known refer title
    locate situate find
    happen occur
    change alter modify
    fee charge cost price
    money fund cash
    person individual people human
    company firm business corporation organization
    author writer write written
    die death pass deceased
    live reside dwell
    marry marriage wed spouse wife husband
    say state claim mention
    begin origin originate
    country nation
    city town
    movie film
    university college
    student pupil
    teacher instructor
    attorney lawyer
    house home residence
    street road
    sea ocean
    stone rock
    pain ache soreness
    doctor physician
    belly stomach abdomen abdominal
    injury wound
    infant baby newborn
    woman female
    man male
    old elderly aged
    yearly annual annually
    monthly month
    daily day
    weekly week
    hourly hour
    """
"""Each line holds words that may stand for each other. A match of these is weaker than one of the same word."""

_IRREGULAR = """
    begin began begun
    break broke broken
    bring brought
    build built
    buy bought
    catch caught
    choose chose chosen
    come came
    cost costs
    die died death dead
    draw drew drawn
    drink drank drunk
    drive drove driven
    eat ate eaten
    fall fell fallen
    feel felt
    fight fought
    find found
    fly flew flown flight
    forget forgot forgotten
    freeze froze frozen
    get got gotten
    give gave given
    go went gone
    grow grew grown growth
    hold held
    keep kept
    know knew known knowledge
    lead led
    lend lent
    lose lost loss
    make made
    mean meant
    meet met
    pay paid
    ride rode ridden
    ring rang rung
    rise rose risen
    run ran
    say said
    see saw seen
    seek sought
    sell sold sale
    send sent
    shake shook shaken
    shine shone
    shoot shot
    sing sang sung song
    sink sank sunk
    sit sat
    sleep slept
    speak spoke spoken speech
    spend spent
    stand stood
    steal stole stolen
    stick stuck
    strike struck
    swear swore sworn
    swim swam swum
    take took taken
    teach taught
    tear tore torn
    tell told
    think thought
    throw threw thrown
    understand understood
    wake woke woken
    wear wore worn
    win won winner
    write wrote written
    child children
    foot feet
    goose geese
    man men
    mouse mice
    person people
    tooth teeth
    woman women
    life lives
    analyze analysis analyses
    knife knives
    wife wives
    half halves
    far further farther
    long length
    strong strength
    high height
    wide width
    deep depth
    broad breadth
    warm warmth
    true truth
    choice choose
    product produce
    decide decision
    receive receipt reception
    destroy destruction
    describe description
    subscribe subscription
    absorb absorption
    explain explanation
    maintain maintenance
    pronounce pronunciation
    retain retention
    prove proof proven
    believe belief
    relieve relief
    france french
    germany german
    spain spanish
    britain british
    england english
    italy italian
    china chinese
    japan japanese
    russia russian
    greece greek
    rome roman
    europe european
    america american
    africa african
    asia asian
    netherlands dutch
    sweden swedish
    poland polish
    ireland irish
    scotland scottish
    wales welsh
    portugal portuguese
    turkey turkish
    switzerland swiss
    denmark danish
    finland finnish
    """
"""Each line holds forms of one word that share too little for a stemmer."""


@cache
def framing() -> frozenset[str]:
    """The stems of what answers say about themselves and their sources."""
    return _stems(_FRAMING)


@cache
def connectives() -> frozenset[str]:
    """The stems of words that only tie a sentence to the one before."""
    return _stems(_CONNECTIVES)


@cache
def plain() -> frozenset[str]:
    """The stems of words of wide use."""
    return _stems(_PLAIN)


@cache
def synonyms() -> Mapping[str, frozenset[str]]:
    """What else may stand for a stem."""
    return _groups(_SYNONYMS)


@cache
def regular() -> Mapping[str, str]:
    """The first of the forms of a word for each of the others."""
    lines = [line.split() for line in _IRREGULAR.strip().splitlines()]
    return {form: line[0] for line in lines for form in line[1:]}


def _stems(listed: str) -> frozenset[str]:
    from doctrail_core.grounding.embedded.words import stem

    return frozenset(map(stem, listed.split()))


def _groups(listed: str) -> Mapping[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for line in listed.strip().splitlines():
        group = _stems(line)
        for one in group:
            found[one] = found.get(one, frozenset()) | group
    return found
