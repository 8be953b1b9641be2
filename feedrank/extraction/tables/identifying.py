"""Identifying names: columns that say by their name that they tell who a person is."""

from __future__ import annotations

import re

# Words of a name, between borders: within others they mean something else, as in 'tip'.
WORDS = (
    r"(?<![^\W_])(?:uuid|guid|e_?mail|mail|phone|mobile|tel|token|secret|ssn|ip|login|user_name|"
    r"first_?name|last_?name|full_?name)s?(?![^\W_])"
)
# Words that mean nothing else within others, as in 'useremail', and pairs of words in one.
PARTS = (
    r"e_?mail|phone_?(?:number|num|nr|no)|telephone|telefon|cell_?phone|mobile_?(?:number|num|nr|no)|"
    r"passwd|password|passport|address|surname|nickname|username|firstname|lastname|fullname|"
    r"(?:access|api|auth|device|push|refresh|session)token|(?:client|last|login|remote|user)ip(?![^\W_])"
)
# What is said about a phone or an address, and is neither.
ABOUT = (
    r"s?_?(?:type|kind|os|model|brand|platform|version|count|verified|confirmed|provider|status)"
)
IDENTIFYING = re.compile(rf"(?:{WORDS}|{PARTS})(?!{ABOUT}$)")
CLAIMS = ("is_", "has_", "n_", "num_", "count_")


def snake_case(name: str) -> str:
    """A name in small letters, with one `_` between words.

    >>> snake_case("User E-mail"), snake_case("lastIp")
    ('user_e_mail', 'last_ip')
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[\W_]+", "_", apart).strip("_").lower()


def is_identifying(name: str) -> bool:
    """Whether a column's name says that its values identify a person.

    >>> is_identifying("Phone Number"), is_identifying("phone_os"), is_identifying("has_phone")
    (True, False, False)
    """
    words = snake_case(name)
    return not words.startswith(CLAIMS) and IDENTIFYING.search(words) is not None
