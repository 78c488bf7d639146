"""What a user may be called."""

import re

USER_ID = re.compile(r"[A-Za-z0-9._~:@|/+=-]{1,128}", re.ASCII)
