targetScope = 'subscription'

metadata description = 'The change-feed fleet: database, function app, storage, identities, monitoring, alerts and budget.'

@description('Name of the environment. Names of all resources come from it.')
@minLength(1)
@maxLength(32)
param environmentName string

@description('First region: of the function app, and the one region of the database that takes writes. It must have availability zones unless zoneRedundant is false.')
@minLength(1)
@metadata({
  azd: {
    type: 'location'
  }
})
param location string

@description('Second region of the database, for reads and failover. Empty: one region. A serverless account has one region only.')
param secondaryLocation string = 'westeurope'

@description('Whether the first region of the database is spread over availability zones.')
param zoneRedundant bool = true

@description('How throughput is paid. perContainer: an autoscale maximum for each container, as the catalogue says. shared: one for all of them. serverless: per request.')
@allowed([
  'perContainer'
  'shared'
  'serverless'
])
param throughput string = 'perContainer'

@description('Autoscale maximum of shared throughput in RU/s, in steps of 1,000. The service bills at least a tenth of it.')
@minValue(1000)
@maxValue(1000000)
param sharedMaxThroughput int = 4000

@description('Name of the database.')
@minLength(1)
@maxLength(255)
param databaseName string = 'vimarsh-multi-personality'

@description('Version of Python that runs the functions.')
@allowed([
  '3.12'
  '3.13'
])
param pythonVersion string = '3.13'

@description('Memory of an instance in MB.')
@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int = 2048

@description('Most instances that each function, or group of functions, may scale out to.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Instances that are always running, by group: [{ "name": "function:publish_views", "instanceCount": 1 }]. The groups are http, durable, blob and function:NAME.')
param alwaysReady array = []

@description('Generation of the state (FLEET_GENERATION).')
@minValue(1)
@maxValue(9999)
param generation int = 1

@description('Shards of the state (FLEET_SHARDS). They cannot change within a generation.')
@minValue(1)
@maxValue(1024)
param shards int = 64

@description('Where alerts are sent.')
@minLength(3)
param alertEmail string

@description('Days for which logs are stored.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Storage of the database in GB at which it counts as full: alerts come at 80 % and 85 % of it.')
@minValue(1)
param storageLimitGB int = 10

@description('Monthly budget of the resource group, in the currency of the subscription. 0: none.')
@minValue(0)
param monthlyBudget int = 200

@description('First day of the first month of the budget, such as 2026-12-01. It cannot be changed later.')
param budgetStartDate string = ''

@description('Days after which an export of one person is deleted, if the timer that deletes it has not.')
@minValue(1)
@maxValue(365)
param exportRetentionDays int = 8

@description('Whether database, storage and key vault are reached through private endpoints only.')
param privateEndpoints bool = false

@description('Object id of the group with the role admin in the database. Empty: nobody.')
param adminPrincipalId string = ''

@description('Object id of the group with the role analytics_reader. Empty: nobody.')
param analyticsReaderPrincipalId string = ''

@description('Object id of the identity of the web application, for the role application_service. Empty: nobody.')
param applicationServicePrincipalId string = ''

@description('Object id of the group with the role content_moderator. Empty: nobody.')
param contentModeratorPrincipalId string = ''

@description('Object id of who creates the secret of the hash keys. Empty: nobody.')
param secretsOfficerPrincipalId string = ''

@description('Name of the resource group. Empty: from the environment.')
@maxLength(90)
param resourceGroupName string = ''

var abbrs = loadJsonContent('./abbreviations.json')
var resourceToken = toLower(uniqueString(subscription().id, environmentName, location))
var tags = {
  'azd-env-name': environmentName
  application: 'vimarsh-change-feed-fleet'
}
// The name of a secret: scripts/create-hash-keys.sh gives it its value.
var hashKeysSecret = 'fleet-hash-keys'

// What contradicts itself ends here, with the reason. What only Azure Resource Manager can refuse is in
// docs/how-to/deploy.md.
var sameRegion = toLower(replace(secondaryLocation, ' ', '')) == toLower(replace(location, ' ', ''))
var secondRegion = throughput == 'serverless' && !empty(secondaryLocation) ? fail('A serverless account has one region only: leave secondaryLocation empty, or choose other throughput.') : sameRegion ? fail('secondaryLocation is location: leave it empty, or name another region.') : secondaryLocation
var regions = empty(secondRegion) ? [location] : [location, secondRegion]
var sharedMaximum = sharedMaxThroughput % 1000 != 0 ? fail('sharedMaxThroughput must be a multiple of 1,000 RU/s.') : sharedMaxThroughput
var budgetStart = monthlyBudget > 0 && empty(budgetStartDate) ? fail('A budget needs budgetStartDate, the first day of a month such as 2026-12-01. Or set monthlyBudget to 0.') : budgetStartDate

resource rg 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: !empty(resourceGroupName) ? resourceGroupName : '${abbrs.resourcesResourceGroups}${environmentName}'
  location: location
  tags: tags
}

module identities 'app/identities.bicep' = {
  name: 'identities'
  scope: rg
  params: {
    fleetName: '${abbrs.managedIdentityUserAssignedIdentities}fleet-${resourceToken}'
    lifecycleName: '${abbrs.managedIdentityUserAssignedIdentities}lifecycle-${resourceToken}'
    location: location
    tags: tags
  }
}

module monitoring 'app/monitoring.bicep' = {
  name: 'monitoring'
  scope: rg
  params: {
    workspaceName: '${abbrs.operationalInsightsWorkspaces}${resourceToken}'
    applicationInsightsName: '${abbrs.insightsComponents}${resourceToken}'
    actionGroupName: '${abbrs.insightsActionGroups}${resourceToken}'
    location: location
    tags: tags
    retentionDays: logRetentionDays
    alertEmail: alertEmail
  }
}

module database 'app/db.bicep' = {
  name: 'database'
  scope: rg
  params: {
    accountName: '${abbrs.documentDBDatabaseAccounts}${resourceToken}'
    databaseName: databaseName
    regions: regions
    zoneRedundant: zoneRedundant
    throughput: throughput
    sharedMaxThroughput: sharedMaximum
    publicNetworkAccess: privateEndpoints ? 'Disabled' : 'Enabled'
    workspaceId: monitoring.outputs.workspaceId
    tags: tags
  }
}

module databaseRoles 'app/db-roles.bicep' = {
  name: 'databaseRoles'
  scope: rg
  params: {
    accountName: database.outputs.accountName
    databaseName: database.outputs.databaseName
    principals: {
      fleet: identities.outputs.fleetPrincipalId
      lifecycle: identities.outputs.lifecyclePrincipalId
      admin: adminPrincipalId
      analytics_reader: analyticsReaderPrincipalId
      application_service: applicationServicePrincipalId
      content_moderator: contentModeratorPrincipalId
    }
  }
}

module storage 'app/storage.bicep' = {
  name: 'storage'
  scope: rg
  params: {
    hostName: '${abbrs.storageStorageAccounts}${resourceToken}'
    archiveName: '${abbrs.storageStorageAccounts}arch${take(resourceToken, 16)}'
    location: location
    tags: tags
    sku: zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS'
    exportRetentionDays: exportRetentionDays
    publicNetworkAccess: privateEndpoints ? 'Disabled' : 'Enabled'
    workspaceId: monitoring.outputs.workspaceId
  }
}

module keyVault 'app/key-vault.bicep' = {
  name: 'keyVault'
  scope: rg
  params: {
    name: '${abbrs.keyVaultVaults}${resourceToken}'
    location: location
    tags: tags
    publicNetworkAccess: privateEndpoints ? 'Disabled' : 'Enabled'
    workspaceId: monitoring.outputs.workspaceId
  }
}

module rbac 'app/rbac.bicep' = {
  name: 'rbac'
  scope: rg
  params: {
    hostStorageName: storage.outputs.hostName
    archiveStorageName: storage.outputs.archiveName
    keyVaultName: keyVault.outputs.name
    applicationInsightsName: monitoring.outputs.applicationInsightsName
    fleetPrincipalId: identities.outputs.fleetPrincipalId
    lifecyclePrincipalId: identities.outputs.lifecyclePrincipalId
    secretsOfficerPrincipalId: secretsOfficerPrincipalId
  }
}

module network 'app/network.bicep' = if (privateEndpoints) {
  name: 'network'
  scope: rg
  params: {
    name: '${abbrs.networkVirtualNetworks}${resourceToken}'
    endpointPrefix: '${abbrs.networkPrivateEndpoints}${resourceToken}'
    location: location
    tags: tags
    accountId: database.outputs.accountId
    hostStorageId: storage.outputs.hostId
    archiveStorageId: storage.outputs.archiveId
    keyVaultId: keyVault.outputs.id
  }
}

module fleet 'app/fleet.bicep' = {
  name: 'fleet'
  scope: rg
  params: {
    name: '${abbrs.webSitesFunctions}fleet-${resourceToken}'
    planName: '${abbrs.webServerFarms}${resourceToken}'
    location: location
    tags: union(tags, { 'azd-service-name': 'fleet' })
    pythonVersion: pythonVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReady: alwaysReady
    fleetIdentityId: identities.outputs.fleetId
    fleetClientId: identities.outputs.fleetClientId
    lifecycleIdentityId: identities.outputs.lifecycleId
    lifecycleClientId: identities.outputs.lifecycleClientId
    hostStorageName: storage.outputs.hostName
    packagesUrl: storage.outputs.packagesUrl
    archiveBlobUrl: storage.outputs.archiveBlobUrl
    applicationInsightsConnectionString: monitoring.outputs.applicationInsightsConnectionString
    accountEndpoint: database.outputs.accountEndpoint
    databaseName: database.outputs.databaseName
    generation: generation
    shards: shards
    keyVaultName: keyVault.outputs.name
    hashKeysSecret: hashKeysSecret
    subnetId: network.?outputs.functionsSubnetId ?? ''
    workspaceId: monitoring.outputs.workspaceId
  }
  // The app starts with its rights, or its first minutes are refusals.
  dependsOn: [
    databaseRoles
    rbac
  ]
}

module alerts 'app/alerts.bicep' = {
  name: 'alerts'
  scope: rg
  params: {
    prefix: 'alert-${environmentName}'
    location: location
    tags: tags
    actionGroupId: monitoring.outputs.actionGroupId
    accountId: database.outputs.accountId
    applicationInsightsId: monitoring.outputs.applicationInsightsId
    storageLimitGB: storageLimitGB
  }
}

module budget 'app/budget.bicep' = if (monthlyBudget > 0) {
  name: 'budget'
  scope: rg
  params: {
    name: 'budget-${environmentName}'
    amount: monthlyBudget
    startDate: budgetStart
    actionGroupId: monitoring.outputs.actionGroupId
  }
}

output AZURE_LOCATION string = location
output AZURE_TENANT_ID string = tenant().tenantId
output AZURE_RESOURCE_GROUP string = rg.name
output AZURE_FUNCTION_NAME string = fleet.outputs.name
output SERVICE_FLEET_NAME string = fleet.outputs.name
output FLEET_URL string = fleet.outputs.url
output COSMOS_ACCOUNT_ID string = database.outputs.accountId
output COSMOS_DATABASE string = database.outputs.databaseName
output AZURE_KEY_VAULT_NAME string = keyVault.outputs.name
output FLEET_HASH_KEYS_SECRET string = hashKeysSecret
