"""The request bodies of Azure Monitor's types, and of what API Management sends to it.

Source: azure-rest-api-specs, Operational Insights 2023-09-01, Insights diagnosticSettings
2021-05-01-preview, actionGroups 2024-10-01-preview, scheduledQueryRules 2025-01-01-preview,
workbooks 2023-06-01, API Management 2024-05-01. What no gateway's log needs is taken as it is.
"""

import re

from local_azure import durations
from local_azure.resource_manager.schema import (
    Anything,
    Flag,
    Items,
    Kind,
    Named,
    Number,
    Shape,
    Text,
    Whole,
)

_TEXT = Text()
_SOME = Text(shortest=1)
_TAGS = Named(of=_TEXT)
_OBJECT = Named(of=Anything())  # of a definition that is left out
_ENABLED = Text(one_of=("Enabled", "Disabled"))
_DURATION = Text(form=durations.ISO_8601, form_is="an ISO 8601 duration such as PT1H")
_RESOURCE = frozenset({"id", "name", "type", "systemData", "etag"})


def _whole(
    name: str, properties: Shape, *, more: dict[str, Kind] | None = None, located: bool = True
) -> Shape:
    top: dict[str, Kind] = {
        "location": _TEXT,
        "tags": _TAGS,
        "identity": _OBJECT,
        **(more or {}),
    }
    needed = {"properties", "location"} if located else {"properties"}
    return Shape(
        name=name,
        properties={**(top if located else {}), "properties": properties},
        required=frozenset(needed),
        read_only=_RESOURCE,
    )


WORKSPACE = Shape(
    name="Workspace",
    properties={
        "location": _TEXT,
        "tags": _TAGS,
        "identity": _OBJECT,
        "properties": Shape(
            name="WorkspaceProperties",
            properties={
                "sku": Shape(
                    name="WorkspaceSku",
                    properties={
                        "name": Text(
                            one_of=(
                                "Free",
                                "Standard",
                                "Premium",
                                "PerNode",
                                "PerGB2018",
                                "Standalone",
                                "CapacityReservation",
                                "LACluster",
                            )
                        ),
                        "capacityReservationLevel": Whole(least=100),
                    },
                    required=frozenset({"name"}),
                    read_only=frozenset({"lastSkuUpdate"}),
                ),
                "retentionInDays": Whole(least=-1),
                "workspaceCapping": Shape(
                    name="WorkspaceCapping",
                    properties={"dailyQuotaGb": Number()},
                    read_only=frozenset({"quotaNextResetTime", "dataIngestionStatus"}),
                ),
                "features": Named(of=Anything()),
                "publicNetworkAccessForIngestion": _ENABLED,
                "publicNetworkAccessForQuery": _ENABLED,
                "forceCmkForQuery": Flag(),
                "defaultDataCollectionRuleResourceId": _TEXT,
            },
            read_only=frozenset(
                {
                    "provisioningState",
                    "customerId",
                    "createdDate",
                    "modifiedDate",
                    "privateLinkScopedResources",
                }
            ),
        ),
    },
    required=frozenset({"location"}),
    read_only=_RESOURCE,
)
_RETENTION = Shape(
    name="RetentionPolicy",
    properties={"enabled": Flag(), "days": Whole(least=0)},
    required=frozenset({"enabled", "days"}),
)
DIAGNOSTIC_SETTING = _whole(
    "DiagnosticSettingsResource",
    Shape(
        name="DiagnosticSettings",
        properties={
            "workspaceId": _SOME,
            "storageAccountId": _SOME,
            "serviceBusRuleId": _SOME,
            "eventHubAuthorizationRuleId": _SOME,
            "eventHubName": _SOME,
            "marketplacePartnerId": _SOME,
            "logAnalyticsDestinationType": Text(one_of=("Dedicated", "AzureDiagnostics")),
            "logs": Items(
                of=Shape(
                    name="LogSettings",
                    properties={
                        "category": _SOME,
                        "categoryGroup": _SOME,
                        "enabled": Flag(),
                        "retentionPolicy": _RETENTION,
                    },
                    required=frozenset({"enabled"}),
                )
            ),
            "metrics": Items(
                of=Shape(
                    name="MetricSettings",
                    properties={
                        "category": _SOME,
                        "enabled": Flag(),
                        "timeGrain": _DURATION,
                        "retentionPolicy": _RETENTION,
                    },
                    required=frozenset({"enabled"}),
                )
            ),
        },
    ),
    located=False,
)
_RECEIVERS = Items(of=_OBJECT)
ACTION_GROUP = _whole(
    "ActionGroupResource",
    Shape(
        name="ActionGroup",
        properties={
            "groupShortName": Text(shortest=1, longest=12),
            "enabled": Flag(),
            "emailReceivers": Items(
                of=Shape(
                    name="EmailReceiver",
                    properties={
                        "name": _SOME,
                        "emailAddress": _SOME,
                        "useCommonAlertSchema": Flag(),
                    },
                    required=frozenset({"name", "emailAddress"}),
                    read_only=frozenset({"status"}),
                )
            ),
            "webhookReceivers": Items(
                of=Shape(
                    name="WebhookReceiver",
                    properties={
                        "name": _SOME,
                        "serviceUri": _SOME,
                        "useCommonAlertSchema": Flag(),
                        "useAadAuth": Flag(),
                        "objectId": _TEXT,
                        "identifierUri": _TEXT,
                        "tenantId": _TEXT,
                        "managedIdentity": _TEXT,
                    },
                    required=frozenset({"name", "serviceUri"}),
                )
            ),
            **dict.fromkeys(
                (
                    "smsReceivers",
                    "itsmReceivers",
                    "azureAppPushReceivers",
                    "automationRunbookReceivers",
                    "voiceReceivers",
                    "logicAppReceivers",
                    "azureFunctionReceivers",
                    "armRoleReceivers",
                    "eventHubReceivers",
                    "incidentReceivers",
                ),
                _RECEIVERS,
            ),
        },
        required=frozenset({"groupShortName", "enabled"}),
    ),
)
_CRITERION = Shape(
    name="Condition",
    properties={
        "query": _SOME,
        "timeAggregation": Text(one_of=("Count", "Average", "Minimum", "Maximum", "Total")),
        "metricMeasureColumn": _SOME,
        "resourceIdColumn": _SOME,
        "dimensions": Items(
            of=Shape(
                name="Dimension",
                properties={
                    "name": _SOME,
                    "operator": Text(one_of=("Include", "Exclude")),
                    "values": Items(of=_TEXT),
                },
                required=frozenset({"name", "operator", "values"}),
            ),
            most=6,
        ),
        "operator": Text(
            one_of=(
                "Equals",
                "GreaterThan",
                "GreaterThanOrEqual",
                "LessThan",
                "LessThanOrEqual",
            )
        ),
        "threshold": Number(),
        "failingPeriods": Shape(
            name="ConditionFailingPeriods",
            properties={
                "numberOfEvaluationPeriods": Whole(least=1, most=6),
                "minFailingPeriodsToAlert": Whole(least=1, most=6),
            },
        ),
        "metricName": _SOME,
    },
    # Of a rule of kind LogAlert, which is the default.
    required=frozenset({"query", "timeAggregation", "operator", "threshold"}),
)
QUERY_RULE = _whole(
    "ScheduledQueryRuleResource",
    Shape(
        name="ScheduledQueryRuleProperties",
        properties={
            "displayName": _TEXT,
            "description": _TEXT,
            "severity": Whole(least=0, most=4),
            "enabled": Flag(),
            "scopes": Items(of=_SOME, most=1),
            "evaluationFrequency": _DURATION,
            "windowSize": _DURATION,
            "overrideQueryTimeRange": _DURATION,
            "targetResourceTypes": Items(of=_TEXT),
            "criteria": Shape(
                name="ScheduledQueryRuleCriteria",
                properties={"allOf": Items(of=_CRITERION, most=1)},
                required=frozenset({"allOf"}),
            ),
            "muteActionsDuration": _DURATION,
            "actions": Shape(
                name="Actions",
                properties={
                    "actionGroups": Items(of=_SOME),
                    "customProperties": Named(of=_TEXT),
                    "actionProperties": Named(of=_TEXT),
                },
            ),
            "autoMitigate": Flag(),
            "checkWorkspaceAlertsStorageConfigured": Flag(),
            "skipQueryValidation": Flag(),
            "resolveConfiguration": _OBJECT,
        },
        required=frozenset({"scopes", "criteria", "evaluationFrequency", "windowSize", "severity"}),
        read_only=frozenset(
            {
                "createdWithApiVersion",
                "isLegacyLogAnalyticsRule",
                "isWorkspaceAlertsStorageConfigured",
            }
        ),
    ),
    more={"kind": Text(one_of=("LogAlert", "LogToMetric"))},
)
WORKBOOK = _whole(
    "Workbook",
    Shape(
        name="WorkbookProperties",
        properties={
            "displayName": _SOME,
            "serializedData": _SOME,
            "category": _SOME,
            "version": _TEXT,
            "sourceId": _TEXT,
            "storageUri": _TEXT,
            "description": _TEXT,
            "tags": Items(of=_TEXT),
        },
        required=frozenset({"displayName", "serializedData", "category"}),
        read_only=frozenset({"timeModified", "userId", "revision"}),
    ),
    more={"kind": Text(one_of=("shared",))},
)
LOGGER = _whole(
    "LoggerContract",
    Shape(
        name="LoggerContractProperties",
        properties={
            "loggerType": Text(one_of=("azureEventHub", "applicationInsights", "azureMonitor")),
            "description": Text(longest=256),
            "credentials": Named(of=_TEXT),
            "isBuffered": Flag(),
            "resourceId": _TEXT,
        },
        required=frozenset({"loggerType"}),
    ),
    located=False,
)
_MESSAGE = Shape(
    name="HttpMessageDiagnostic",
    properties={
        "headers": Items(of=_SOME),
        "body": Shape(
            name="BodyDiagnosticSettings", properties={"bytes": Whole(least=0, most=8192)}
        ),
        "dataMasking": _OBJECT,
    },
)
_PIPELINE = Shape(
    name="PipelineDiagnosticSettings", properties={"request": _MESSAGE, "response": _MESSAGE}
)
DIAGNOSTIC = _whole(
    "DiagnosticContract",
    Shape(
        name="DiagnosticContractProperties",
        properties={
            "loggerId": _SOME,
            "alwaysLog": Text(one_of=("allErrors",)),
            "sampling": Shape(
                name="SamplingSettings",
                properties={
                    "samplingType": Text(one_of=("fixed",)),
                    "percentage": Number(least=0, most=100),
                },
            ),
            "frontend": _PIPELINE,
            "backend": _PIPELINE,
            "logClientIp": Flag(),
            "httpCorrelationProtocol": Text(one_of=("None", "Legacy", "W3C")),
            "verbosity": Text(one_of=("verbose", "information", "error")),
            "operationNameFormat": Text(one_of=("Name", "Url")),
            "metrics": Flag(),
        },
        required=frozenset({"loggerId"}),
    ),
    located=False,
)
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
