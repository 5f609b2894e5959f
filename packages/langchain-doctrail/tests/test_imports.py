import json
import subprocess
import sys

MOST_MODULES = 60
COUNT = """
import json, sys
import langchain_core.retrievers, langchain_core.vectorstores
from langchain_core.runnables import RunnableLambda
RunnableLambda(str).invoke(1)  # an application that has run something has these
before = set(sys.modules)
from langchain_doctrail import LineageCallbackHandler, LineageRetriever, format_tagged
LineageCallbackHandler()
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_importing_the_adapter_is_cheap_for_an_application_that_runs_langchain():
    result = subprocess.run(
        [sys.executable, "-c", COUNT], capture_output=True, text=True, check=True
    )
    added = json.loads(result.stdout)
    assert "langchain_doctrail.callbacks" in added
    assert len(added) <= MOST_MODULES
    assert not {"sqlite3", "opentelemetry", "langchain_core.prompts"} & set(added)
