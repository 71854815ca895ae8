"""``python -m datafacade.sim`` is the simulator, ``python -m datafacade.sim proxy`` the fault proxy."""

import sys

from datafacade.sim import cli, proxy_cli

if __name__ == "__main__":
    if sys.argv[1:2] == ["proxy"]:
        sys.exit(proxy_cli.main(sys.argv[2:]))
    sys.exit(cli.main())
