"""`mylist show`, `erase`, `move` and `withdraw`: operators' commands, which change lists beside the service."""
