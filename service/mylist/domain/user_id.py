"""User ids: opaque text of the clients, from an alphabet that neither JSON, HTTP nor Redis has to escape."""

import re

USER_ID_PATTERN = r"[A-Za-z0-9._~:@|/+=-]{1,128}"
USER_ID = re.compile(USER_ID_PATTERN, re.ASCII)
