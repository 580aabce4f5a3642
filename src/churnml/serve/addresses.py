"""Addresses that requests come from. Owns which are of this machine alone, and which are counted as one."""

from __future__ import annotations

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Whether an address, or `localhost`, is of this machine alone."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


@lru_cache(maxsize=1024)
def network_of(client: str) -> str:
    """The address that is counted: of IPv6 the first half, all of which one customer has."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if address.version == 6 and not getattr(address, "ipv4_mapped", None):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return client
