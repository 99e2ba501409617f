"""Mutated articles keep the laws; bench/fuzz_articles.py runs many more of them."""

from tests.support.article_mutations import run


def test_mutated_articles_are_rewritten_and_restored_without_an_exception() -> None:
    references, slowest = run(count=400, seed=7)

    assert references > 1000
    assert slowest < 2
