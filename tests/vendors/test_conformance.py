"""Every vendor passes the suite of `conformance.py`; a new one is one more bench and one more class."""

from tests.vendors.bench import BENCHES, CHAT, TEXT
from tests.vendors.conformance import Conformance


class TestAnthropic(Conformance):
    bench = BENCHES[0]


class TestOpenAI(Conformance):
    bench = BENCHES[1]


class TestGoogle(Conformance):
    bench = BENCHES[2]


class TestChatCompletions(Conformance):
    bench = CHAT


class TestToolsInText(Conformance):
    bench = TEXT
