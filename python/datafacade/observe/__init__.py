"""Tell the operator what happens: logs here, metrics later."""
