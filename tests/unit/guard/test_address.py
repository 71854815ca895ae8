"""Only addresses of the public internet may be contacted unless the operator says otherwise (CTL-S23)."""

import pytest

from datafacade.guard.address import is_public


@pytest.mark.proves("CTL-S23")
@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "224.0.0.1",
        "100.64.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1", "2001:db8::1",
        "localhost", "", "0", "1.2.3", "0x7f.1",
    ],
)  # fmt: skip
def test_addresses_that_lead_inside_are_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "104.16.1.1", "2606:4700::1111"])
def test_addresses_of_the_internet_pass(address: str) -> None:
    assert is_public(address)
