metadata description = 'The function app, on the plan Flex Consumption.'

@minLength(2)
@maxLength(60)
param name string

param planName string
param location string
param tags object
param pythonVersion string
param instanceMemoryMB int
param maximumInstanceCount int

@description('Instances that are always running, by group.')
param alwaysReady array

param fleetIdentityId string
param fleetClientId string
param lifecycleIdentityId string
param lifecycleClientId string
param hostStorageName string

@description('The container of the deployed package.')
param packagesUrl string

@description('Blob endpoint of the archive.')
param archiveBlobUrl string

param applicationInsightsConnectionString string
param accountEndpoint string
param databaseName string
param generation int
param shards int
param keyVaultName string
param hashKeysSecret string

@description('Subnet of outgoing connections. Empty: none.')
param subnetId string

@description('Workspace for diagnostics.')
param workspaceId string

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    tier: 'FlexConsumption'
    name: 'FC1'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: name
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${fleetIdentityId}': {}
      '${lifecycleIdentityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: fleetIdentityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packagesUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: fleetIdentityId
          }
        }
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReady
      }
      runtime: {
        name: 'python'
        version: pythonVersion
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
    }
  }
}

// Identity everywhere: no setting holds a key to a service. The hash keys are a reference to the key vault.
resource settings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: app
  name: 'appsettings'
  properties: {
    AzureWebJobsStorage__accountName: hostStorageName
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: fleetClientId
    APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsightsConnectionString
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${fleetClientId};Authorization=AAD'
    CosmosDb__accountEndpoint: accountEndpoint
    CosmosDb__credential: 'managedidentity'
    CosmosDb__clientId: fleetClientId
    LifecycleCosmosDb__clientId: lifecycleClientId
    COSMOS_DATABASE: databaseName
    ArchiveStorage__blobServiceUri: archiveBlobUrl
    ArchiveStorage__credential: 'managedidentity'
    ArchiveStorage__clientId: lifecycleClientId
    FLEET_GENERATION: string(generation)
    FLEET_SHARDS: string(shards)
    FLEET_HASH_KEYS: '@Microsoft.KeyVault(VaultName=${keyVaultName};SecretName=${hashKeysSecret})'
  }
}

// Deployment by identity only: no user name and password.
resource ftpPublishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource scmPublishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

// The logs of the functions are in Application Insights: not a second time here.
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: app
  name: 'monitoring'
  properties: {
    workspaceId: workspaceId
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}

output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
