// Signs in as the service principal, lists backends, puts a pool over two of them, deletes an API.
import { ApiManagementClient } from "@azure/arm-apimanagement";
import { ClientSecretCredential } from "@azure/identity";

const [group, service] = process.argv.slice(2);
const credential = new ClientSecretCredential(
  process.env.ARM_TENANT_ID,
  process.env.ARM_CLIENT_ID,
  process.env.ARM_CLIENT_SECRET,
  { authorityHost: process.env.AZURE_AUTHORITY_HOST, disableInstanceDiscovery: true },
);
const client = new ApiManagementClient(credential, process.env.ARM_SUBSCRIPTION_ID, {
  endpoint: process.env.LOCAL_AZURE_HTTPS,
  credentialScopes: "https://management.azure.com/.default",
});
const services = [];
for await (const backend of client.backend.listByService(group, service)) {
  services.push({ id: `/backends/${backend.name}`, priority: 1, weight: 1 });
}
const pool = await client.backend.createOrUpdate(group, service, "pool", {
  typePropertiesType: "Pool",
  pool: { services },
});
await client.api.beginDeleteAndWait(group, service, "inference", "*");
console.log(pool.pool.services.length, "members");
