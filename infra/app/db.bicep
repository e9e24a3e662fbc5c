metadata description = 'The Cosmos DB account, its database, and every container of the catalogue.'

@minLength(3)
@maxLength(44)
param accountName string

param databaseName string

@description('Regions in the order of failover. The first one takes the writes.')
@minLength(1)
param regions array

@description('Whether the first region is spread over availability zones.')
param zoneRedundant bool

@allowed([
  'perContainer'
  'shared'
  'serverless'
])
param throughput string

@description('Autoscale maximum of shared throughput in RU/s.')
param sharedMaxThroughput int

@allowed([
  'Enabled'
  'Disabled'
])
param publicNetworkAccess string

@description('Workspace for diagnostics.')
param workspaceId string

param tags object

// Written from the catalogue by "make infra".
var containers = loadJsonContent('../containers.json')

resource account 'Microsoft.DocumentDB/databaseAccounts@2024-11-15' = {
  name: accountName
  location: regions[0]
  tags: tags
  kind: 'GlobalDocumentDB'
  properties: {
    databaseAccountOfferType: 'Standard'
    locations: [
      for (region, priority) in regions: {
        locationName: region
        failoverPriority: priority
        isZoneRedundant: priority == 0 && zoneRedundant
      }
    ]
    capabilities: throughput == 'serverless' ? [{ name: 'EnableServerless' }] : []
    consistencyPolicy: {
      defaultConsistencyLevel: 'Session'
    }
    enableAutomaticFailover: length(regions) > 1
    enableMultipleWriteLocations: false
    backupPolicy: {
      type: 'Continuous'
      continuousModeProperties: {
        tier: 'Continuous30Days'
      }
    }
    disableLocalAuth: true
    disableKeyBasedMetadataWriteAccess: true
    minimalTlsVersion: 'Tls12'
    publicNetworkAccess: publicNetworkAccess
  }
}

resource database 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases@2024-11-15' = {
  parent: account
  name: databaseName
  tags: tags
  properties: {
    resource: {
      id: databaseName
    }
    options: throughput == 'shared' ? { autoscaleSettings: { maxThroughput: sharedMaxThroughput } } : {}
  }
}

@batchSize(4)
resource items 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers@2024-11-15' = [
  for container in containers: {
    parent: database
    name: container.name
    tags: tags
    properties: {
      resource: container.resource
      options: throughput == 'perContainer' ? { autoscaleSettings: { maxThroughput: container.autoscaleMaxThroughput } } : {}
    }
  }
]

// Not logged: DataPlaneRequests, QueryRuntimeStatistics, PartitionKeyStatistics and PartitionKeyRUConsumption,
// which name documents and partition keys. Those are ids of people.
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: account
  name: 'monitoring'
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'ControlPlaneRequests'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'Requests'
        enabled: true
      }
    ]
  }
}

output accountId string = account.id
output accountName string = account.name
output accountEndpoint string = account.properties.documentEndpoint
output databaseName string = database.name
