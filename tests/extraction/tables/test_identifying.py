from __future__ import annotations

import pytest

from feedrank.extraction.tables.identifying import is_identifying

PERSONAL = """email;e-mail;E-Mail;user email;userEmail;emailaddress;EmailAddress;e_mail;mail;phone;
    Phone Number;phonenumber;phone.no;mobile;mobileNumber;telephone;tel;first name;firstname;
    lastName;FULLNAME;username;user-name;nickname;surname;home address;homeaddress;address line 2;
    ip;last ip;lastip;IPAddress;client-ip;token;accessToken;pushtoken;passport no;passwords;ssn;
    login;GUID;user uuid"""
USABLE = """tip;tips;trip_count;zip;shipping;age;city;address_type;address type;addresstype;phone_os;
    phoneOs;phoneos;phone model;smartphone;iphone;headphones;email_verified;is_email_confirmed;
    has_phone;n_logins;login_count;guide;guided_tours;hotel;mobility;telling;mailing;tokenized;
    secretary;name_length;first_day"""


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(";")]


@pytest.mark.parametrize("name", _names(PERSONAL))
def test_a_name_of_personal_values_is_identifying_however_it_is_written(name: str) -> None:
    assert is_identifying(name)


@pytest.mark.parametrize("name", _names(USABLE))
def test_a_name_that_holds_such_a_word_and_means_something_else_is_not(name: str) -> None:
    assert not is_identifying(name)
