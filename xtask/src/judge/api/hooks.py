"""What schemathesis does not know of Station's API."""

import itertools
import re

import schemathesis
from hypothesis import strategies

# A format of the document.
schemathesis.openapi.format(
    "cron", strategies.sampled_from(["*/5 * * * *", "0 3 * * 1-5", "0 0 1 1 *", "15 30 8 * * *"])
)

KEY = "Idempotency-Key"
numbers = itertools.count(1)


@schemathesis.hook
def before_call(context, case, kwargs):
    # A key is a request's own: of two with the same one, the second is answered as the first, or refused.
    for name, value in list((case.headers or {}).items()):
        if name.lower() == KEY.lower() and re.fullmatch("[!#-+.-:<-\\[\\]-~-]{1,255}", str(value)):
            case.headers[name] = f"request-{next(numbers)}"
