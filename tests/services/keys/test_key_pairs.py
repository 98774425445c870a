from __future__ import annotations

from datetime import timedelta

from tokensrv.domain.secret import masked
from tokensrv.services.keys.key_pairs import Purpose, generate

# A thumbprint that a key has had.
LIKE_A_SECRET = "ih1yc_2I4kwkdEj4tOjjJvWyEM5JFGBu2ms16JzPNsc"


def test_no_key_has_a_name_that_looks_like_a_secret() -> None:
    assert masked(LIKE_A_SECRET) != LIKE_A_SECRET
    names = iter([LIKE_A_SECRET, "a-name"])
    purpose = Purpose("answers", timedelta(), timedelta(), kid_of=lambda _: next(names))
    assert generate("ES256", purpose).kid == "a-name"
