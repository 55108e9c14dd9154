from hypothesis import given
from hypothesis import strategies as st

from vla_model.words import PAD, WordVocabulary, split_words


def test_unknown_words_are_left_out_and_case_and_punctuation_do_not_matter():
    vocabulary = WordVocabulary.of(["Open the drawer."])
    known = vocabulary.encode(["open the DRAWER"], 6)
    with_unknown = vocabulary.encode(["please open, gently, the drawer!"], 6)
    assert (known == with_unknown).all()
    assert (known[0, 3:] == PAD).all()


@given(st.lists(st.text(max_size=40), max_size=5), st.integers(1, 8))
def test_ids_name_the_words_they_came_from(texts: list[str], length: int):
    vocabulary = WordVocabulary.of(texts)
    for text, ids in zip(texts, vocabulary.encode(texts, length), strict=True):
        words = [vocabulary.words[i - 1] for i in ids if i != PAD]
        assert words == split_words(text)[:length]
