"""Seeds are derived from names."""

from modelkin import seeds


def test_seeds_are_by_name():
    assert seeds.derive_seed(0, "a", "b") == seeds.derive_seed(0, "a", "b")
    assert (
        len({seeds.derive_seed(s, *names) for s in (0, 1) for names in (("a",), ("b",), ("a", "b"), ("ab",))})
        == 8
    )
