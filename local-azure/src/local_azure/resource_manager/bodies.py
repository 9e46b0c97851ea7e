"""The request bodies of each resource type, as Azure's specifications define them.

Source: azure-rest-api-specs, Cognitive Services 2025-06-01, API Management 2024-05-01, Resources
2024-03-01, Authorization 2022-04-01. Where a definition is left out (certificates, say), so is
the property; `rules.NOT_BUILT` names what is in the specification and not in the local Azure.
"""

import re

from local_azure import durations
from local_azure.resource_manager.schema import (
    Anything,
    Flag,
    Items,
    Named,
    Shape,
    Text,
    Whole,
)

DURATION = Text(
    form=durations.ISO_8601,
    form_is="an ISO 8601 duration such as PT1M",
)
HTTP_URL = Text(
    shortest=1,
    longest=2000,
    # `fabric:` is Azure's for a service of Service Fabric, and refused by name.
    form=re.compile(r"https?://[^\s/?#]+[^\s]*|fabric:/.*", re.IGNORECASE),
    form_is="an absolute http or https URL",
)
_TEXT = Text()
_OBJECT = Named(of=Anything())  # of a definition that is left out
_ENABLED = Text(one_of=("Enabled", "Disabled"))
_TAGS = Named(of=_TEXT)
_RESOURCE = frozenset({"id", "name", "type", "systemData", "etag"})
_IDENTITY_TYPE = Text(
    one_of=("None", "SystemAssigned", "UserAssigned", "SystemAssigned, UserAssigned")
)
_IDENTITY_READ_ONLY = frozenset({"principalId", "tenantId"})

RESOURCE_GROUP = Shape(
    name="ResourceGroup",
    properties={"location": _TEXT, "managedBy": _TEXT, "tags": _TAGS},
    read_only=_RESOURCE | {"properties"},
)

USER_ASSIGNED_IDENTITY = Shape(
    name="Identity",
    properties={"location": _TEXT, "tags": _TAGS},
    read_only=_RESOURCE | {"properties"},
)

_SKU = Shape(
    name="Sku",
    properties={
        "name": Text(shortest=1),
        "tier": Text(one_of=("Free", "Basic", "Standard", "Premium", "Enterprise")),
        "size": _TEXT,
        "family": _TEXT,
        "capacity": Whole(least=1, or_text=True),
    },
    required=frozenset({"name"}),
)

ACCOUNT = Shape(
    name="Account",
    properties={
        "location": _TEXT,
        "kind": Text(shortest=1),
        "tags": _TAGS,
        "sku": _SKU,
        "identity": Shape(
            name="Identity",
            properties={
                "type": _IDENTITY_TYPE,
                "userAssignedIdentities": Named(of=_OBJECT),
            },
            read_only=_IDENTITY_READ_ONLY,
        ),
        "properties": Shape(
            name="AccountProperties",
            properties={
                "allowProjectManagement": Flag(),
                "allowedFqdnList": Items(of=_TEXT),
                "amlWorkspace": _OBJECT,
                "apiProperties": _OBJECT,
                "associatedProjects": Items(of=_TEXT),
                "customSubDomainName": _TEXT,
                "defaultProject": _TEXT,
                "disableLocalAuth": Flag(),
                "dynamicThrottlingEnabled": Flag(),
                "encryption": _OBJECT,
                "locations": _OBJECT,
                "migrationToken": _TEXT,
                "networkAcls": Shape(
                    name="NetworkRuleSet",
                    properties={
                        "bypass": Text(one_of=("AzureServices", "None")),
                        "defaultAction": Text(one_of=("Allow", "Deny")),
                        "ipRules": Items(of=_OBJECT),
                        "virtualNetworkRules": Items(of=_OBJECT),
                    },
                ),
                "networkInjections": Items(of=_OBJECT),
                "publicNetworkAccess": _ENABLED,
                "raiMonitorConfig": _OBJECT,
                "restore": Flag(),
                "restrictOutboundNetworkAccess": Flag(),
                "storedCompletionsDisabled": Flag(),
                "userOwnedStorage": Items(of=_OBJECT),
            },
            read_only=frozenset(
                {
                    "abusePenalty",
                    "callRateLimit",
                    "capabilities",
                    "commitmentPlanAssociations",
                    "dateCreated",
                    "deletionDate",
                    "endpoint",
                    "endpoints",
                    "internalId",
                    "isMigrated",
                    "privateEndpointConnections",
                    "provisioningState",
                    "quotaLimit",
                    "scheduledPurgeDate",
                    "skuChangeInfo",
                }
            ),
        ),
    },
    required=frozenset({"kind", "sku"}),
    read_only=_RESOURCE,
)

DEPLOYMENT = Shape(
    name="Deployment",
    properties={
        "tags": _TAGS,
        "sku": _SKU,
        "properties": Shape(
            name="DeploymentProperties",
            properties={
                "capacitySettings": _OBJECT,
                "currentCapacity": Whole(),
                "model": Shape(
                    name="DeploymentModel",
                    properties={
                        "format": Text(shortest=1),
                        "name": Text(shortest=1),
                        "publisher": _TEXT,
                        "source": _TEXT,
                        "sourceAccount": _TEXT,
                        "version": Text(shortest=1),
                    },
                    required=frozenset({"format", "name"}),
                    read_only=frozenset({"callRateLimit"}),
                ),
                "parentDeploymentName": _TEXT,
                "raiPolicyName": _TEXT,
                "scaleSettings": _OBJECT,
                "spilloverDeploymentName": _TEXT,
                "versionUpgradeOption": Text(
                    one_of=(
                        "OnceNewDefaultVersionAvailable",
                        "OnceCurrentVersionExpired",
                        "NoAutoUpgrade",
                    )
                ),
            },
            required=frozenset({"model"}),
            read_only=frozenset(
                {
                    "callRateLimit",
                    "capabilities",
                    "dynamicThrottlingEnabled",
                    "provisioningState",
                    "rateLimits",
                }
            ),
        ),
    },
    required=frozenset({"properties", "sku"}),
    read_only=_RESOURCE,
)

ROLE_ASSIGNMENT = Shape(
    name="RoleAssignmentCreateParameters",
    properties={
        "properties": Shape(
            name="RoleAssignmentProperties",
            properties={
                "condition": _TEXT,
                "conditionVersion": _TEXT,
                "delegatedManagedIdentityResourceId": _TEXT,
                "description": _TEXT,
                "principalId": _TEXT,
                "principalType": Text(
                    one_of=("User", "Group", "ServicePrincipal", "ForeignGroup", "Device")
                ),
                "roleDefinitionId": _TEXT,
            },
            required=frozenset({"principalId", "roleDefinitionId"}),
            read_only=frozenset({"createdBy", "createdOn", "scope", "updatedBy", "updatedOn"}),
        ),
    },
    required=frozenset({"properties"}),
    read_only=_RESOURCE,
)

SERVICE = Shape(
    name="ApiManagementServiceResource",
    properties={
        "location": _TEXT,
        "tags": _TAGS,
        "zones": Items(of=_TEXT),
        "sku": Shape(
            name="ApiManagementServiceSkuProperties",
            properties={
                "name": Text(
                    one_of=(
                        "Developer",
                        "Standard",
                        "Premium",
                        "Basic",
                        "Consumption",
                        "Isolated",
                        "BasicV2",
                        "StandardV2",
                        # ? not in the specification of 2024-05-01, which lets a service add some.
                        "PremiumV2",
                    )
                ),
                "capacity": Whole(least=0),
            },
            required=frozenset({"name", "capacity"}),
        ),
        "identity": Shape(
            name="ApiManagementServiceIdentity",
            properties={
                "type": _IDENTITY_TYPE,
                "userAssignedIdentities": Named(of=_OBJECT),
            },
            required=frozenset({"type"}),
            read_only=_IDENTITY_READ_ONLY,
        ),
        "properties": Shape(
            name="ApiManagementServiceProperties",
            properties={
                "additionalLocations": Items(of=_OBJECT),
                "apiVersionConstraint": _OBJECT,
                "certificates": Items(of=_OBJECT),
                "configurationApi": _OBJECT,
                "customProperties": Named(of=_TEXT),
                "developerPortalStatus": _ENABLED,
                "disableGateway": Flag(),
                "enableClientCertificate": Flag(),
                "hostnameConfigurations": Items(of=_OBJECT),
                "legacyPortalStatus": _ENABLED,
                "natGatewayState": _ENABLED,
                "notificationSenderEmail": Text(longest=100),
                "privateEndpointConnections": Items(of=_OBJECT),
                "publicIpAddressId": _TEXT,
                "publicNetworkAccess": _ENABLED,
                "publisherEmail": Text(shortest=1, longest=100),
                "publisherName": Text(shortest=1, longest=100),
                "restore": Flag(),
                "virtualNetworkConfiguration": _OBJECT,
                "virtualNetworkType": Text(one_of=("None", "External", "Internal")),
            },
            required=frozenset({"publisherEmail", "publisherName"}),
            read_only=frozenset(
                {
                    "createdAtUtc",
                    "developerPortalUrl",
                    "gatewayRegionalUrl",
                    "gatewayUrl",
                    "managementApiUrl",
                    "outboundPublicIPAddresses",
                    "platformVersion",
                    "portalUrl",
                    "privateIPAddresses",
                    "provisioningState",
                    "publicIPAddresses",
                    "scmUrl",
                    "targetProvisioningState",
                }
            ),
        ),
    },
    required=frozenset({"properties", "sku"}),
    read_only=_RESOURCE,
)

_POOL = Shape(
    name="BackendPool",
    properties={
        "services": Items(
            of=Shape(
                name="BackendPoolItem",
                properties={
                    "id": Text(shortest=1),
                    "priority": Whole(least=0, most=100),
                    "weight": Whole(least=0, most=100),
                },
                required=frozenset({"id"}),
            ),
            most=30,
        ),
        "sessionAffinity": Shape(
            name="BackendSessionAffinity",
            properties={
                "sessionId": Shape(
                    name="BackendSessionId",
                    properties={
                        # In both casings in samples.
                        "source": Text(form=re.compile("[Cc]ookie"), form_is="'cookie'"),
                        "name": Text(
                            shortest=1,
                            form=re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"),  # RFC 6265, 4.1.1
                            form_is="a cookie's name",
                        ),
                    },
                    required=frozenset({"source", "name"}),
                )
            },
        ),
    },
    required=frozenset({"services"}),
)

_CIRCUIT_BREAKER = Shape(
    name="BackendCircuitBreaker",
    properties={
        "rules": Items(
            of=Shape(
                name="CircuitBreakerRule",
                properties={
                    "name": _TEXT,
                    "acceptRetryAfter": Flag(),
                    "tripDuration": DURATION,
                    "failureCondition": Shape(
                        name="CircuitBreakerFailureCondition",
                        properties={
                            "count": Whole(least=1),
                            "percentage": Whole(least=1, most=100),
                            "interval": DURATION,
                            "errorReasons": Items(of=Text(longest=200), most=10),
                            "statusCodeRanges": Items(
                                of=Shape(
                                    name="FailureStatusCodeRange",
                                    properties={
                                        "min": Whole(least=200, most=599),
                                        "max": Whole(least=200, most=599),
                                    },
                                    required=frozenset({"min", "max"}),
                                ),
                                most=10,
                            ),
                        },
                        required=frozenset({"interval"}),
                    ),
                },
                required=frozenset({"failureCondition", "tripDuration"}),
            ),
            most=15,
        )
    },
)

BACKEND = Shape(
    name="BackendContract",
    properties={
        "properties": Shape(
            name="BackendContractProperties",
            properties={
                "azureRegion": _TEXT,
                "circuitBreaker": _CIRCUIT_BREAKER,
                "credentials": Shape(
                    name="BackendCredentialsContract",
                    properties={
                        "authorization": Shape(
                            name="BackendAuthorizationHeaderCredentials",
                            properties={
                                "scheme": Text(shortest=1, longest=100),
                                "parameter": Text(shortest=1, longest=300),
                            },
                            required=frozenset({"scheme", "parameter"}),
                        ),
                        "certificate": Items(of=_TEXT, most=32),
                        "certificateIds": Items(of=_TEXT, most=32),
                        "header": Named(of=Items(of=_TEXT)),
                        "query": Named(of=Items(of=_TEXT)),
                    },
                ),
                "description": Text(shortest=1, longest=2000),
                "pool": _POOL,
                "properties": _OBJECT,
                "protocol": _TEXT,
                "proxy": Shape(
                    name="BackendProxyContract",
                    properties={
                        "url": Text(shortest=1, longest=2000),
                        "username": _TEXT,
                        "password": _TEXT,
                    },
                    required=frozenset({"url"}),
                ),
                "resourceId": Text(shortest=1, longest=2000),
                "title": Text(shortest=1, longest=300),
                "tls": Shape(
                    name="BackendTlsProperties",
                    properties={
                        "validateCertificateChain": Flag(),
                        "validateCertificateName": Flag(),
                    },
                ),
                "type": Text(one_of=("Single", "Pool")),
                "url": HTTP_URL,
            },
        ),
    },
    required=frozenset({"properties"}),
    read_only=_RESOURCE,
)

_API_TYPE = Text(one_of=("http", "soap", "websocket", "graphql", "odata", "grpc"))
_API_FORMAT = Text(
    one_of=(
        "wadl-xml",
        "wadl-link-json",
        "swagger-json",
        "swagger-link-json",
        "wsdl",
        "wsdl-link",
        "openapi",
        "openapi+json",
        "openapi-link",
        "openapi+json-link",
        "graphql-link",
        "odata",
        "odata-link",
        "grpc",
        "grpc-link",
    )
)

API = Shape(
    name="ApiCreateOrUpdateParameter",
    properties={
        "properties": Shape(
            name="ApiCreateOrUpdateProperties",
            properties={
                "apiRevision": Text(shortest=1, longest=100),
                "apiRevisionDescription": Text(longest=256),
                "apiType": _API_TYPE,
                "apiVersion": Text(longest=100),
                "apiVersionDescription": Text(longest=256),
                "apiVersionSet": _OBJECT,
                "apiVersionSetId": _TEXT,
                "authenticationSettings": _OBJECT,
                "contact": _OBJECT,
                "description": _TEXT,
                "displayName": Text(shortest=1, longest=300),
                "format": _API_FORMAT,
                "isCurrent": Flag(),
                "license": _OBJECT,
                "path": Text(longest=400),
                "protocols": Items(of=Text(one_of=("http", "https", "ws", "wss"))),
                "serviceUrl": Text(longest=2000),
                "sourceApiId": _TEXT,
                "subscriptionKeyParameterNames": Shape(
                    name="SubscriptionKeyParameterNamesContract",
                    properties={"header": Text(shortest=1), "query": Text(shortest=1)},
                ),
                "subscriptionRequired": Flag(),
                "termsOfServiceUrl": _TEXT,
                "translateRequiredQueryParameters": Text(one_of=("template", "query")),
                "type": _API_TYPE,
                "value": _TEXT,
                "wsdlSelector": _OBJECT,
            },
            required=frozenset({"path"}),
            read_only=frozenset({"isOnline", "provisioningState"}),
        ),
    },
    required=frozenset({"properties"}),
    read_only=_RESOURCE,
)

_PARAMETER = Shape(
    name="ParameterContract",
    properties={
        "name": Text(shortest=1),
        "description": _TEXT,
        "type": Text(shortest=1),
        "defaultValue": _TEXT,
        "required": Flag(),
        "values": Items(of=_TEXT),
        "schemaId": _TEXT,
        "typeName": _TEXT,
        "examples": Named(of=_OBJECT),
    },
    required=frozenset({"name", "type"}),
)
_REPRESENTATION = Shape(
    name="RepresentationContract",
    properties={
        "contentType": Text(shortest=1),
        "schemaId": _TEXT,
        "typeName": _TEXT,
        "formParameters": Items(of=_PARAMETER),
        "examples": Named(of=_OBJECT),
    },
    required=frozenset({"contentType"}),
)

OPERATION = Shape(
    name="OperationContract",
    properties={
        "properties": Shape(
            name="OperationContractProperties",
            properties={
                "description": Text(longest=1000),
                "displayName": Text(shortest=1, longest=300),
                "method": Text(shortest=1),
                "policies": _TEXT,
                "request": Shape(
                    name="RequestContract",
                    properties={
                        "description": _TEXT,
                        "headers": Items(of=_PARAMETER),
                        "queryParameters": Items(of=_PARAMETER),
                        "representations": Items(of=_REPRESENTATION),
                    },
                ),
                "responses": Items(
                    of=Shape(
                        name="ResponseContract",
                        properties={
                            "statusCode": Whole(least=100, most=599),
                            "description": _TEXT,
                            "headers": Items(of=_PARAMETER),
                            "representations": Items(of=_REPRESENTATION),
                        },
                        required=frozenset({"statusCode"}),
                    )
                ),
                "templateParameters": Items(of=_PARAMETER),
                "urlTemplate": Text(shortest=1, longest=1000),
            },
            required=frozenset({"displayName", "method", "urlTemplate"}),
        ),
    },
    required=frozenset({"properties"}),
    read_only=_RESOURCE,
)

POLICY = Shape(
    name="PolicyContract",
    properties={
        "properties": Shape(
            name="PolicyContractProperties",
            properties={
                "format": Text(one_of=("xml", "xml-link", "rawxml", "rawxml-link")),
                "value": Text(shortest=1),
            },
            required=frozenset({"value"}),
        ),
    },
    required=frozenset({"properties"}),
    read_only=_RESOURCE,
)

POLICY_FRAGMENT = Shape(
    name="PolicyFragmentContract",
    properties={
        "properties": Shape(
            name="PolicyFragmentContractProperties",
            properties={
                "description": Text(longest=1000),
                "format": Text(one_of=("xml", "rawxml")),
                "value": Text(shortest=1),
            },
            required=frozenset({"value"}),
            read_only=frozenset({"provisioningState"}),
        ),
    },
    required=frozenset({"properties"}),
    read_only=_RESOURCE,
)

NAMED_VALUE = Shape(
    name="NamedValueCreateContract",
    properties={
        "properties": Shape(
            name="NamedValueCreateContractProperties",
            properties={
                "displayName": Text(
                    shortest=1,
                    longest=256,
                    form=re.compile(r"[A-Za-z0-9._-]+"),
                    form_is="letters, digits, periods, dashes and underscores",
                ),
                "keyVault": _OBJECT,
                "secret": Flag(),
                "tags": Items(of=Text(longest=256), most=32),
                "value": Text(shortest=1, longest=4096),
            },
            required=frozenset({"displayName"}),
            read_only=frozenset({"provisioningState"}),
        ),
    },
    required=frozenset({"properties"}),
    read_only=_RESOURCE,
)

SUBSCRIPTION = Shape(
    name="SubscriptionCreateParameters",
    properties={
        "properties": Shape(
            name="SubscriptionCreateParameterProperties",
            properties={
                "allowTracing": Flag(),
                "displayName": Text(shortest=1, longest=100),
                "ownerId": _TEXT,
                "primaryKey": Text(shortest=1, longest=256),
                "scope": _TEXT,
                "secondaryKey": Text(shortest=1, longest=256),
                "state": Text(
                    one_of=(
                        "suspended",
                        "active",
                        "expired",
                        "submitted",
                        "rejected",
                        "cancelled",
                    )
                ),
            },
            required=frozenset({"displayName", "scope"}),
            read_only=frozenset(
                {
                    "createdDate",
                    "endDate",
                    "expirationDate",
                    "notificationDate",
                    "startDate",
                    "stateComment",
                }
            ),
        ),
    },
    required=frozenset({"properties"}),
    read_only=_RESOURCE,
)


# Microsoft.Network 2024-05-01 and its private DNS zones 2024-06-01, as far as accounts need them.
_REFERENCE = Shape(name="SubResource", properties={"id": Text(shortest=1)})
_SUBNET_PROPERTIES = Shape(
    name="SubnetPropertiesFormat",
    properties={
        "addressPrefix": _TEXT,
        "addressPrefixes": Items(of=_TEXT),
        "delegations": Items(
            of=Shape(
                name="Delegation",
                properties={
                    "name": _TEXT,
                    "properties": Shape(
                        name="ServiceDelegationPropertiesFormat",
                        properties={"serviceName": _TEXT},
                        read_only=frozenset({"actions", "provisioningState"}),
                    ),
                },
                read_only=_RESOURCE,
            )
        ),
        "privateEndpointNetworkPolicies": _TEXT,
        "privateLinkServiceNetworkPolicies": _TEXT,
        "serviceEndpoints": Items(of=Anything()),
    },
    read_only=frozenset({"privateEndpoints", "provisioningState"}),
)
SUBNET = Shape(name="Subnet", properties={"properties": _SUBNET_PROPERTIES}, read_only=_RESOURCE)
VIRTUAL_NETWORK = Shape(
    name="VirtualNetwork",
    properties={
        "location": _TEXT,
        "tags": _TAGS,
        "properties": Shape(
            name="VirtualNetworkPropertiesFormat",
            properties={
                "addressSpace": Anything(),
                "dhcpOptions": Anything(),
                "enableDdosProtection": Flag(),
                "privateEndpointVNetPolicies": _TEXT,
                "subnets": Items(of=Anything()),
            },
            read_only=frozenset({"provisioningState", "resourceGuid", "virtualNetworkPeerings"}),
        ),
    },
    read_only=_RESOURCE,
)
_CONNECTIONS = Items(
    of=Shape(
        name="PrivateLinkServiceConnection",
        properties={
            "name": Text(shortest=1),
            "properties": Shape(
                name="PrivateLinkServiceConnectionProperties",
                properties={
                    "groupIds": Items(of=_TEXT),
                    "privateLinkServiceConnectionState": Anything(),
                    "privateLinkServiceId": Text(shortest=1),
                    "requestMessage": _TEXT,
                },
                read_only=frozenset({"provisioningState"}),
            ),
        },
        read_only=_RESOURCE,
    )
)
PRIVATE_ENDPOINT = Shape(
    name="PrivateEndpoint",
    properties={
        "location": _TEXT,
        "tags": _TAGS,
        "properties": Shape(
            name="PrivateEndpointProperties",
            properties={
                "applicationSecurityGroups": Items(of=Anything()),
                "customDnsConfigs": Items(of=Anything()),
                "customNetworkInterfaceName": _TEXT,
                "ipConfigurations": Items(of=Anything()),
                "manualPrivateLinkServiceConnections": _CONNECTIONS,
                "privateLinkServiceConnections": _CONNECTIONS,
                "subnet": _REFERENCE,
            },
            required=frozenset({"subnet"}),
            read_only=frozenset({"networkInterfaces", "provisioningState"}),
        ),
    },
    required=frozenset({"properties"}),
    read_only=_RESOURCE,
)
DNS_ZONE_GROUP = Shape(
    name="PrivateDnsZoneGroup",
    properties={
        "properties": Shape(
            name="PrivateDnsZoneGroupPropertiesFormat",
            properties={
                "privateDnsZoneConfigs": Items(
                    of=Shape(
                        name="PrivateDnsZoneConfig",
                        properties={
                            "name": Text(shortest=1),
                            "properties": Shape(
                                name="PrivateDnsZonePropertiesFormat",
                                properties={"privateDnsZoneId": Text(shortest=1)},
                                read_only=frozenset({"recordSets"}),
                            ),
                        },
                        read_only=_RESOURCE,
                    )
                )
            },
            read_only=frozenset({"provisioningState"}),
        )
    },
    required=frozenset({"properties"}),
    read_only=_RESOURCE,
)
DNS_ZONE = Shape(
    name="PrivateZone",
    properties={"location": _TEXT, "tags": _TAGS},
    read_only=_RESOURCE | {"properties"},
)
DNS_ZONE_LINK = Shape(
    name="VirtualNetworkLink",
    properties={
        "location": _TEXT,
        "tags": _TAGS,
        "properties": Shape(
            name="VirtualNetworkLinkProperties",
            properties={
                "registrationEnabled": Flag(),
                "resolutionPolicy": _TEXT,
                "virtualNetwork": _REFERENCE,
            },
            read_only=frozenset({"provisioningState", "virtualNetworkLinkState"}),
        ),
    },
    required=frozenset({"properties"}),
    read_only=_RESOURCE,
)
