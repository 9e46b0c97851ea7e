"""Every error a regional endpoint answers with, as Azure OpenAI words it."""

from collections.abc import Sequence
from typing import Any


class ApiError(Exception):
    """A request that is refused: status, JSON body, and seconds to wait where that helps."""

    def __init__(
        self, status: int, body: dict[str, Any], *, retry_after: int | None = None
    ) -> None:
        super().__init__(body)
        self.status = status
        self.body = body
        self.retry_after = retry_after


def _error(status: int, code: str, message: str, *, retry_after: int | None = None) -> ApiError:
    return ApiError(status, {"error": {"code": code, "message": message}}, retry_after=retry_after)


def not_found() -> ApiError:
    """Refuse a path or api-version that is not there."""
    return _error(404, "404", "Resource not found")


def refused(status: int, message: str) -> ApiError:
    """Refuse a request before it is looked at."""
    return _error(status, str(status), message)


def deployment_not_found() -> ApiError:
    """Refuse a deployment that is not there."""
    return _error(
        404,
        "DeploymentNotFound",
        "The API deployment for this resource does not exist. If you created the deployment within"
        " the last 5 minutes, please wait a moment and try again.",
    )


def unauthenticated() -> ApiError:
    """Refuse a wrong key, or neither key nor token."""
    return _error(
        401,
        "401",
        "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide"
        " a valid key for an active subscription and use a correct regional API endpoint for your"
        " resource.",
    )


def invalid_token(audience: str) -> ApiError:
    """Refuse a token that is not for this service."""
    return _error(
        401,
        "Unauthorized",
        f"Access token is missing, invalid, audience is incorrect ({audience}), or have expired.",
    )


def permission_denied() -> ApiError:
    """Refuse a good token whose principal has no role."""
    return _error(401, "PermissionDenied", "Principal does not have access to API/Operation.")


def local_auth_disabled() -> ApiError:
    """Refuse a key where only Entra tokens are taken."""
    return _error(
        403, "AuthenticationTypeDisabled", "Key based authentication is disabled for this resource."
    )


def address_denied() -> ApiError:
    """Refuse a caller whose address is not in the account's rules (azure-sql-db-chatbot#3)."""
    return _error(403, "403", "Access denied due to Virtual Network/Firewall rules.")


def public_access_disabled() -> ApiError:
    """Refuse a caller that came by no private endpoint (TabularEditor3#1557; ? the code)."""
    return _error(403, "403", "Public access is disabled. Please configure private endpoint.")


def throttled(operation: str, api_version: str, limit: str, retry_after: int) -> ApiError:
    """Refuse what is over a limit, "token" or "call"; `retry_after` in seconds."""
    return _error(
        429,
        "429",
        f"Requests to the {operation} Operation under Azure OpenAI API version {api_version} have"
        f" exceeded {limit} rate limit of your current OpenAI S0 pricing tier. Please retry after"
        f" {retry_after} seconds. Please go here: https://aka.ms/oai/quotaincrease if you would"
        " like to further increase the default rate limit.",
        retry_after=retry_after,
    )


def failed(status: int, retry_after: int | None = None) -> ApiError:
    """Fail with any status, for a fault that is rehearsed."""
    messages = {
        500: "The server had an error while processing your request. Sorry about that!",
        503: "The service is temporarily unable to process your request. Please try again later.",
    }
    message = messages.get(status, f"The service answered {status}.")
    return _error(status, str(status), message, retry_after=retry_after)


def operation_not_supported(operation: str, model: str) -> ApiError:
    """Refuse an operation the model is not made for."""
    return _error(
        400,
        "OperationNotSupported",
        f"The {operation} operation does not work with the specified model, {model}. Please choose"
        " different model and try again.",
    )


def invalid_request(
    message: str, parameter: str | None = None, code: str | None = None, *, status: int = 400
) -> ApiError:
    """Refuse a body; this error has OpenAI's form, not Azure's."""
    return ApiError(
        status,
        {
            "error": {
                "message": message,
                "type": "invalid_request_error",
                "param": parameter,
                "code": code,
            }
        },
    )


def unsupported_parameter(name: str, instead: str = "") -> ApiError:
    """Refuse a parameter that the model does not take."""
    remedy = f" Use '{instead}' instead." if instead else ""
    return invalid_request(
        f"Unsupported parameter: '{name}' is not supported with this model.{remedy}",
        name,
        "unsupported_parameter",
    )


def unsupported_value(name: str, value: Any, default: Any) -> ApiError:
    """Refuse a value of a parameter that can only be what it is anyway."""
    return invalid_request(
        f"Unsupported value: '{name}' does not support {value} with this model. Only the default"
        f" ({default}) value is supported.",
        name,
        "unsupported_value",
    )


def invalid_value(name: str, value: Any, values: Sequence[str]) -> ApiError:
    """Refuse a word that is none of those there are."""
    supported = ", ".join(f"'{each}'" for each in values)
    return invalid_request(
        f"Invalid value: {str(value)[:80]!r}. Supported values are: {supported}.",
        name,
        "invalid_value",
    )


def not_supported_here(name: str, why: str = "") -> ApiError:
    """Refuse what Azure has and the local Azure has not."""
    return invalid_request(
        f"The local Azure does not support this value of '{name}'{': ' if why else ''}{why}.",
        name,
        "not_supported_by_local_azure",
    )


def responses_not_offered() -> ApiError:
    """Refuse the Responses API in a location that does not have it.

    Microsoft Q&A 5845444 (westeurope, April 2026); ASSERT#129.
    """
    return _error(
        404,
        "NotFound",
        "Azure OpenAI Responses API is not enabled in this region. Please check"
        " https://aka.ms/aoai/responsesapi/availability",
    )


def no_such(what: str, name: str) -> ApiError:
    """Refuse the id of a "Response" or a "Conversation" that the account does not have."""
    return invalid_request(f"{what} with id '{name[:80]}' not found.", status=404)


def previous_response_not_found(name: str) -> ApiError:
    """Refuse to go on from what the account does not have (semantic-kernel#13128)."""
    return invalid_request(
        f"Previous response with id '{name[:80]}' not found.",
        "previous_response_id",
        "previous_response_not_found",
    )


def item_not_found(name: str, *, stored: bool) -> ApiError:
    """Refuse an item that the account does not have (bifrost#6382; copilot-sdk#357)."""
    remedy = (
        ""
        if stored
        else " Items are not persisted when `store` is set to false. Try again with `store` set to"
        " true, or remove this item from your input."
    )
    return invalid_request(f"Item with id '{name[:80]}' not found.{remedy}", "input")


def invalid_encrypted_content(content: str) -> ApiError:
    """Refuse what another account, or nobody, has encrypted (codex#8145)."""
    return invalid_request(
        f"The encrypted content {content[:4]}...{content[-4:]} could not be verified.",
        None,
        "invalid_encrypted_content",
    )
