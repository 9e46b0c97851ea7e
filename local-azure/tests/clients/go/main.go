// Signs in as the service principal, lists backends, puts a pool over two of them, deletes an API.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	apim "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"
)

func main() {
	if err := run(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, group string, service string) error {
	endpoint := os.Getenv("LOCAL_AZURE_HTTPS")
	there := azcore.ClientOptions{Cloud: cloud.Configuration{
		ActiveDirectoryAuthorityHost: os.Getenv("AZURE_AUTHORITY_HOST"),
		Services: map[cloud.ServiceName]cloud.ServiceConfiguration{
			cloud.ResourceManager: {Endpoint: endpoint, Audience: "https://management.azure.com"},
		},
	}}
	credential, err := azidentity.NewClientSecretCredential(
		os.Getenv("ARM_TENANT_ID"), os.Getenv("ARM_CLIENT_ID"), os.Getenv("ARM_CLIENT_SECRET"),
		&azidentity.ClientSecretCredentialOptions{ClientOptions: there, DisableInstanceDiscovery: true},
	)
	if err != nil {
		return err
	}
	clients, err := apim.NewClientFactory(
		os.Getenv("ARM_SUBSCRIPTION_ID"), credential, &arm.ClientOptions{ClientOptions: there},
	)
	if err != nil {
		return err
	}
	backends := clients.NewBackendClient()
	members := []*apim.BackendPoolItem{}
	for pages := backends.NewListByServicePager(group, service, nil); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, backend := range page.Value {
			members = append(members, &apim.BackendPoolItem{
				ID: to.Ptr("/backends/" + *backend.Name), Priority: to.Ptr[int32](1), Weight: to.Ptr[int32](1),
			})
		}
	}
	pool, err := backends.CreateOrUpdate(ctx, group, service, "pool", apim.BackendContract{
		Properties: &apim.BackendContractProperties{
			Type: to.Ptr(apim.BackendTypePool), Pool: &apim.BackendBaseParametersPool{Services: members},
		},
	}, nil)
	if err != nil {
		return err
	}
	deletion, err := clients.NewAPIClient().BeginDelete(ctx, group, service, "inference", "*", nil)
	if err != nil {
		return err
	}
	if _, err = deletion.PollUntilDone(ctx, nil); err != nil {
		return err
	}
	fmt.Println(len(pool.Properties.Pool.Services), "members")
	return nil
}
