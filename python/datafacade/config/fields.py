"""Name the kinds of values that configuration keys hold, with their bounds."""

from typing import Annotated, Final, Literal

from pydantic import AnyUrl, ConfigDict, Field, SecretStr, StringConstraints, UrlConstraints

STRICT: Final = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

Version = Literal[1]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Bytes = Annotated[int, Field(ge=1, le=2**40)]
Seconds = Annotated[float, Field(gt=0, le=366 * 86_400)]
SecondsOrNone = Annotated[float, Field(ge=0, le=366 * 86_400)]  # 0 has a meaning of its own
Milliseconds = Annotated[int, Field(ge=1, le=86_400_000)]
MillisecondsOrNone = Annotated[int, Field(ge=0, le=86_400_000)]  # 0 has a meaning of its own
Ratio = Annotated[float, Field(ge=0, le=1)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1_024)]
Secret = SecretStr
SocketUrl = Annotated[AnyUrl, UrlConstraints(allowed_schemes=["wss", "ws"], host_required=True)]
RestUrl = Annotated[AnyUrl, UrlConstraints(allowed_schemes=["https", "http"], host_required=True)]
