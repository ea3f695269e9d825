"""`docs/ota_attacks.md` says what the tests play."""

from tools import attacks_page


def test_the_page_is_as_the_rows_have_it() -> None:
    assert attacks_page.PAGE.read_text("utf-8") == attacks_page.page()
