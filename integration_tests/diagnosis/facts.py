"""Facts of real contracts: a question, what the contract says, and something else that it could have said.

The contracts are those of the demo and eight more in `data`, all CC BY 4.0; see the NOTICE next to them.
"""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from doctrail.demo.corpus import Contract, contracts

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Fact:
    """What a contract says.

    `clause` stands in the contract word by word, `value` in the clause, and `other` is a value of the
    same kind. `right` and `wrong` are how an assistant would put the two. `again` is where the contract
    repeats the value, outside of the clause.
    """

    document: str
    question: str
    clause: str
    value: str
    other: str
    expected: str
    answer: str
    mistaken: str
    again: str | None = None

    @property
    def right(self) -> str:
        return self.answer.format(self.expected)

    @property
    def wrong(self) -> str:
        return self.answer.format(self.mistaken)

    @property
    def altered(self) -> str:
        """The clause with the other value."""
        return self.clause.replace(self.value, self.other)

    @property
    def held_out(self) -> bool:
        """Whether its contract is one that no rule was developed on."""
        return int(sha256(self.document.encode()).hexdigest(), 16) % 2 == 1


@cache
def library() -> dict[str, Contract]:
    """Every contract by its name."""
    more = [
        Contract(path.stem, f"data/{path.name}", path.read_text(encoding="utf-8"))
        for path in sorted((HERE / "data").glob("*.txt"))
    ]
    return {contract.document_id: contract for contract in [*contracts(), *more]}


FACTS = (
    Fact(
        "big-sky-mesaba",
        "On what date did Big Sky and Mesaba Holdings enter into their agreement?",
        "is entered into as of July 26, 2002 by and between Big Sky",
        "July 26, 2002",
        "July 6, 2002",
        "July 26, 2002",
        "Big Sky and Mesaba Holdings entered into their agreement on {}.",
        "July 6, 2002",
    ),
    Fact(
        "big-sky-mesaba",
        "For how many days after the conclusion of negotiations may Big Sky and Holdings not trade the common stock of the other?",
        "for a period of at least 60 days after conclusion thereof",
        "60 days",
        "90 days",
        "60 days",
        "Neither party may trade the common stock of the other for {} after the conclusion of negotiations.",
        "90 days",
    ),
    Fact(
        "brooks-bottling",
        "How long will Brooks retain the material if the Client does not request its return?",
        "BROOKS will retain said material for three (3) years after which",
        "three (3) years",
        "seven (7) years",
        "three years",
        "Brooks will retain the material for {}.",
        "seven years",
    ),
    Fact(
        "clearcenter",
        "For what period do the confidentiality obligations bind the Parties of the ClearCenter agreement from the date of disclosure?",
        "shall bind the Parties for a period of five (5) years from the date of disclosure",
        "five (5) years",
        "two (2) years",
        "five years",
        "The confidentiality obligations bind the Parties for {} from the date of disclosure.",
        "two years",
    ),
    Fact(
        "efca",
        "How much notice must EFCA give of a disclosure required by law?",
        "not less than two business days\u2019 notice of such disclosure",
        "two business days",
        "twelve business days",
        "two business days",
        "EFCA must give notice of such a disclosure not less than {} before it.",
        "12 business days",
    ),
    Fact(
        "efca",
        "For how many years will the agreement with EFCA be effective and continue?",
        "effective as of the date below, and continue for five (5) years",
        "five (5) years",
        "fifteen (15) years",
        "five years",
        "The agreement with EFCA will continue for {}.",
        "fifteen years",
    ),
    Fact(
        "euler-hermes",
        "When does the agreement with Euler Hermes expire?",
        "shall expire at the end of five (5) years from the date set forth below",
        "five (5) years",
        "three (3) years",
        "five years",
        "The agreement shall expire at the end of {} from its date.",
        "three years",
    ),
    Fact(
        "evelozcity",
        "When do the confidentiality obligations of the Evelozcity agreement expire?",
        "expire and are of no further force or effect five (5) years from last date",
        "five (5) years",
        "eight (8) years",
        "five years",
        "The confidentiality obligations expire {} from the last date of disclosure.",
        "eight years",
    ),
    Fact(
        "halo-electronics",
        "For what period will the RECIPIENT of HALO not disseminate the confidential information?",
        "RECIPIENT agrees that for a period of five (5) years from the effective date",
        "five (5) years",
        "ten (10) years",
        "five years",
        "For a period of {} the RECIPIENT will not disseminate the confidential information.",
        "ten years",
    ),
    Fact(
        "hnba-board",
        "How much written notice does it take to terminate the agreement of the HNBA and a Board Member earlier?",
        "by giving the other Party thirty (30) days written notice",
        "thirty (30) days",
        "ninety (90) days",
        "thirty days",
        "It may be terminated earlier by giving the other Party {} written notice.",
        "ninety days",
    ),
    Fact(
        "hnba-board",
        "For how long will the HNBA keep a copy in its files after the completion of a Candidate's request?",
        "will keep a copy in its files for a period of two (2) years after the completion",
        "two (2) years",
        "six (6) years",
        "two years",
        "The HNBA will keep a copy in its files for {}.",
        "six years",
    ),
    Fact(
        "illinois-network",
        "How long do the obligations with respect to the disclosure of the Illinois Century Network's information survive from the date of last disclosure?",
        "survive\u00a0for\u00a0a\u00a0period\u00a0of\u00a0three\u00a0(3)\u00a0years\u00a0from",
        "three\u00a0(3)\u00a0years",
        "nine\u00a0(9)\u00a0years",
        "three years",
        "The obligations survive for {} from the date of last disclosure.",
        "nine years",
    ),
    Fact(
        "johns-hopkins",
        "For how long do the RECIPIENT's obligations to JHU under Paragraphs 2 and 3 extend?",
        "shall extend for a period of five (5) years from the effective date",
        "five (5) years",
        "four (4) years",
        "five years",
        "The RECIPIENT's obligations extend for {} from the effective date.",
        "four years",
    ),
    Fact(
        "nasdaq-omx",
        "Within how many days must all Confidential Information be returned to NASDAQ OMX or destroyed?",
        "returned to NASDAQ OMX or destroyed within ten (10) days of the expiration",
        "ten (10) days",
        "forty (40) days",
        "ten days",
        "All Confidential Information must be returned to NASDAQ OMX or destroyed within {}.",
        "forty days",
    ),
    Fact(
        "nasdaq-omx",
        "How long do the representations and obligations of the Recipient survive the termination of the NASDAQ OMX Confidentiality Agreement?",
        "for a period up to three (3) years from the date of the completion",
        "three (3) years",
        "one (1) year",
        "three years",
        "The obligations of the Recipient survive the termination for up to {}.",
        "one year",
    ),
    Fact(
        "nostradata-datathon",
        "Under the laws of which State is the NostraData deed governed?",
        "This deed is governed by the laws of the State of Victoria, Australia",
        "Victoria",
        "Queensland",
        "Victoria",
        "The NostraData deed is governed by the laws of the State of {}.",
        "Queensland",
    ),
    Fact(
        "nostradata-datathon",
        "On what date does the 2017 Melbourne Datathon of NostraData end?",
        "to be held between April 13th and June 2nd 2017",
        "June 2nd 2017",
        "July 21st 2017",
        "June 2nd 2017",
        "The 2017 Melbourne Datathon ends on {}.",
        "July 21st 2017",
    ),
    Fact(
        "unhcr-elearning",
        "Within how many days must a dispute with UNHCR be settled amicably before it is referred to arbitration?",
        "unless settled amicably within twenty (20) days after receipt",
        "twenty (20) days",
        "fifty (50) days",
        "twenty days",
        "A dispute must be settled amicably within {} after receipt of the request.",
        "fifty days",
    ),
    Fact(
        "vapotherm",
        "What is the Effective date of the agreement between Vapotherm and John Coolidge?",
        "made as of January 28, 2014 (the “Effective date”)",
        "January 28, 2014",
        "June 18, 2014",
        "January 28, 2014",
        "The agreement between Vapotherm and John Coolidge was made as of {}.",
        "June 18, 2014",
        again="Date: Jan 28th 2014",
    ),
    Fact(
        "vapotherm",
        "Within how many business days after a written request must copies be returned to Vapotherm at the Receiving Party's expense?",
        "within five (5) business days after: (i) receipt of a written request from Vapotherm",
        "five (5) business days",
        "sixteen (16) business days",
        "five business days",
        "Copies must be returned to Vapotherm within {} after receipt of a written request.",
        "16 business days",
    ),
    Fact(
        "yahoo-restrac",
        "Within how many days of an oral disclosure must it be confirmed in a writing to the recipient, between Yahoo and Restrac?",
        "confirmed in a writing to the recipient within thirty (30) days of such disclosure",
        "thirty (30) days",
        "sixty (60) days",
        "thirty days",
        "It must be confirmed in a writing to the recipient within {} of the disclosure.",
        "sixty days",
    ),
    Fact(
        "bomi-international",
        "Under the laws of which State is the agreement with BOMI governed and construed?",
        "governed by and construed according to the laws of the State of Maryland",
        "Maryland",
        "Nevada",
        "Maryland",
        "The agreement with BOMI is governed by the laws of the State of {}.",
        "Nevada",
    ),
    Fact(
        "patriot-scientific",
        "On about what date did the Stockholder make a demand to inspect the stockholder list of Patriot Scientific?",
        "on or about April 30, 2015, the Stockholder made a demand",
        "April 30, 2015",
        "August 13, 2015",
        "April 30, 2015",
        "The Stockholder made a demand to inspect the stockholder list on or about {}.",
        "August 13, 2015",
        again="this 30th day of April 2015",
    ),
    Fact(
        "adobe",
        "Upon how many days' written notice may either party terminate the NDA with Adobe?",
        "Either party may terminate this NDA upon 10 days\u2019 written notice",
        "10 days",
        "45 days",
        "10 days",
        "Either party may terminate the NDA upon {} written notice.",
        "45 days",
    ),
    Fact(
        "brookstech",
        "For what period does the receiving party of BROOKSTECH agree to retain the Confidential Information in confidence?",
        "in confidence for a period of three (3) years from the date of receipt",
        "three (3) years",
        "seven (7) years",
        "three years",
        "The receiving party agrees to retain the Confidential Information in confidence for {}.",
        "seven years",
    ),
    Fact(
        "cif-lab",
        "When do the obligations of confidentiality of the CiF Lab Solutions agreement terminate?",
        "shall terminate five (5) years from the Effective Date",
        "five (5) years",
        "two (2) years",
        "five years",
        "The obligations of confidentiality terminate {} from the Effective Date.",
        "two years",
    ),
    Fact(
        "health-card",
        "As of what date is the agreement of National Medical Health Card Systems and John Ciufo made and effective?",
        "made and effective as of November 19, 1998",
        "November 19, 1998",
        "March 9, 1998",
        "November 19, 1998",
        "The agreement with John Ciufo is made and effective as of {}.",
        "March 9, 1998",
    ),
    Fact(
        "high-speed-net",
        "For what period do High Speed Net Solutions and Seifert abide by the rules of non-circumvention?",
        "rules of non-circumvention and non-disclosure for a period of Two years from the effective date",
        "Two years",
        "Twelve years",
        "two years",
        "The Parties abide by the rules of non-circumvention for a period of {}.",
        "twelve years",
        again="for a period of two (2) years",
    ),
    Fact(
        "add-x-biotech",
        "Within how many days from the effective date shall products remaining after the tests be returned, in the agreement of Add-X Biotech?",
        "no later than one hundred twenty (120) days from the effective date",
        "one hundred twenty (120) days",
        "two hundred (200) days",
        "120 days",
        "Products remaining after the tests shall be returned no later than {} from the effective date.",
        "200 days",
    ),
    Fact(
        "universal-hospital",
        "On what date does the Disclosure Period of Universal Hospital Services and Emergent Group end?",
        "begins on the effective date and ends April 26, 2011",
        "April 26, 2011",
        "October 26, 2012",
        "April 26, 2011",
        "The Disclosure Period of Universal Hospital Services and Emergent Group ends {}.",
        "October 26, 2012",
    ),
)
