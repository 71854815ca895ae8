"""Judge whether an address may be contacted (SSRF). Pure."""

from __future__ import annotations

import ipaddress
from typing import Final

_TRANSLATION: Final = ipaddress.ip_network("64:ff9b::/96")  # carries any IPv4 address inside


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet.

    Private, loopback, link-local (with the clouds' metadata address), multicast, reserved and translated
    addresses are not; neither is text that is no address.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed in _TRANSLATION or parsed.sixtofour or parsed.teredo:
            return False
        if parsed.ipv4_mapped is not None:
            return is_public(str(parsed.ipv4_mapped))
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved
