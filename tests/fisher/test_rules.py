"""Rules as text: what is printed can be typed back, alone and in lists."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfungst.errors import ConfigError
from pfungst.fisher import Absolute, Epsilon, Naive, parse_rule, parse_rules, split_rules

BIAS = st.sampled_from(("spread", "separate"))
NUMBERS = st.floats(1e-300, 1e300)
RULES = st.one_of(
    st.builds(Naive, bias=BIAS),
    st.builds(
        Epsilon,
        epsilon=NUMBERS,
        relative=st.booleans(),
        absorbed=st.sampled_from(("report", "spread")),
        bias=BIAS,
    ),
    st.builds(Absolute, gamma_threshold=st.floats(0, 0.999), bias=BIAS),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(RULES, min_size=1, max_size=5), st.sampled_from((",", ", ", ";", " ; ")))
def test_a_list_of_printed_rules_can_be_typed_back(rules, between):
    text = between.join(map(str, rules))
    assert parse_rules(text) == tuple(rules)


def test_usual_rules_print_short():
    rules = (Naive(), Epsilon(), Epsilon(epsilon=0.38, relative=True, absorbed="spread"), Absolute())
    assert [str(rule) for rule in rules] == [
        "naive",
        "epsilon=100",
        "epsilon=0.38*sqrt(L),spread",
        "absolute",
    ]


def test_rules_from_options():
    assert parse_rule("epsilon") == Epsilon(epsilon=100.0)
    assert parse_rule("epsilon:10") == Epsilon(epsilon=10.0)
    assert parse_rule("epsilon", epsilon=7.0, relative=True, absorbed="spread") == Epsilon(
        epsilon=7.0, relative=True, absorbed="spread"
    )
    assert parse_rule("absolute", gamma_threshold=0.0) == Absolute(gamma_threshold=0.0)
    assert parse_rule("absolute=0.001") == Absolute(gamma_threshold=0.001)
    assert parse_rule(Naive()) == Naive()


def test_lists():
    assert split_rules("epsilon=0.38*sqrt(L),spread,naive") == ("epsilon=0.38*sqrt(L),spread", "naive")
    assert split_rules("epsilon=1, epsilon=10 ,absolute") == ("epsilon=1", "epsilon=10", "absolute")
    assert split_rules("epsilon-plus-flat,some-composite") == ("epsilon-plus-flat", "some-composite")
    assert split_rules("a,b;c") == ("a,b", "c")
    assert split_rules("none") == ()
    with pytest.raises(ConfigError, match="no rule"):
        parse_rules(" , ")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("alpha", {}, "unknown rule 'alpha'.*naive, epsilon, absolute"),
        ("naive", {"epsilon": 3.0}, "rule naive has no option epsilon"),
        ("naive=3", {}, "rule naive has no option number"),
        ("naive,spread", {}, "rule naive has no option absorbed"),
        ("absolute", {"relative": True}, "rule absolute has no option relative"),
        ("absolute=1", {}, "gamma_threshold = 1"),
        ("absolute=0.1*sqrt(L)", {}, "rule absolute has no option relative"),
        ("epsilon=0", {}, "epsilon = 0"),
        ("epsilon=1e", {}, "epsilon = '1e'"),
        ("epsilon=1,wide", {}, "unknown word after rule epsilon: 'wide'. Allowed: spread, separate"),
        ("epsilon", {"epsilon": float("nan")}, "epsilon = nan"),
        ("absolute", {"bias": "lost"}, "bias = 'lost'"),
        ("epsilon", {"absorbed": "lost"}, "absorbed = 'lost'"),
        (Naive(), {"epsilon": 1.0}, r"options \['epsilon'\] beside a finished rule naive"),
    ],
)
def test_unknown_rules_and_options(text, options, message):
    with pytest.raises(ConfigError, match=message):
        parse_rule(text, **options)
