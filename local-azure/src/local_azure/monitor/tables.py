"""The tables of a workspace that gateways write: columns and their types.

Source: Azure Monitor, "Azure Monitor Logs reference", ApiManagementGatewayLogs and
ApiManagementGatewayLlmLog. Columns that no gateway here can fill are left out.
"""

from collections.abc import Mapping
from typing import Final

GATEWAY_LOGS: Final = "ApiManagementGatewayLogs"
LLM_LOG: Final = "ApiManagementGatewayLlmLog"
CATEGORIES: Final = {"GatewayLogs": GATEWAY_LOGS, "GatewayLlmLogs": LLM_LOG}
"""The table that a diagnostic setting's category is written to, with `Dedicated` tables."""

_EVERY: Final = {
    "TenantId": "string",
    "TimeGenerated": "datetime",
    "_ResourceId": "string",
    "Type": "string",
    "CorrelationId": "string",
    "OperationName": "string",
    "Region": "string",
}
COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    GATEWAY_LOGS: {
        **_EVERY,
        "ApiId": "string",
        "ApimSubscriptionId": "string",
        "BackendId": "string",
        "BackendMethod": "string",
        "BackendProtocol": "string",
        "BackendResponseCode": "int",
        "BackendTime": "long",
        "BackendUrl": "string",
        "CallerIpAddress": "string",
        "ClientProtocol": "string",
        "IsRequestSuccess": "bool",
        "LastErrorMessage": "string",
        "LastErrorReason": "string",
        "LastErrorSection": "string",
        "LastErrorSource": "string",
        "Method": "string",
        "OperationId": "string",
        "RequestHeaders": "dynamic",
        "RequestSize": "int",
        "ResponseCode": "int",
        "ResponseHeaders": "dynamic",
        "TotalTime": "long",
        "TraceRecords": "dynamic",
        "Url": "string",
    },
    LLM_LOG: {
        **_EVERY,
        "ApiId": "string",
        "CompletionTokens": "int",
        "DeploymentName": "string",
        "IsStreamCompletion": "bool",
        "ModelName": "string",
        "OperationId": "string",
        "PromptTokens": "int",
        "SequenceNumber": "int",
        "TotalTokens": "int",
    },
}
