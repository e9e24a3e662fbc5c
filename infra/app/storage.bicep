metadata description = 'Storage of the Functions host, and of the archive.'

@description('Name of the account of the Functions host: packages, timers, durable functions.')
@minLength(3)
@maxLength(24)
param hostName string

@description('Name of the account of the archive, the exports and the tombstones.')
@minLength(3)
@maxLength(24)
param archiveName string

param location string
param tags object

@allowed([
  'Standard_LRS'
  'Standard_ZRS'
])
param sku string

@description('Days after which an export is deleted, if the timer that deletes it has not.')
param exportRetentionDays int

@allowed([
  'Enabled'
  'Disabled'
])
param publicNetworkAccess string

@description('Workspace for diagnostics.')
param workspaceId string

var packages = 'app-package'
var archiveContainers = [
  'archive'
  'exports'
  'tombstones'
]

resource host 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: hostName
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: sku
  }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: publicNetworkAccess
    networkAcls: {
      defaultAction: publicNetworkAccess == 'Enabled' ? 'Allow' : 'Deny'
      bypass: 'None'
    }
  }
}

resource hostBlobs 'Microsoft.Storage/storageAccounts/blobServices@2024-01-01' = {
  parent: host
  name: 'default'
}

resource packageContainer 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' = {
  parent: hostBlobs
  name: packages
  properties: {
    publicAccess: 'None'
  }
}

resource archive 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: archiveName
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: sku
  }
  properties: {
    accessTier: 'Cool'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: publicNetworkAccess
    networkAcls: {
      defaultAction: publicNetworkAccess == 'Enabled' ? 'Allow' : 'Deny'
      bypass: 'None'
    }
  }
}

// An erased person's documents are gone when they are deleted: no soft delete, no versions, no change feed, and
// no restore to an earlier moment.
resource archiveBlobs 'Microsoft.Storage/storageAccounts/blobServices@2024-01-01' = {
  parent: archive
  name: 'default'
  properties: {
    deleteRetentionPolicy: {
      enabled: false
    }
    containerDeleteRetentionPolicy: {
      enabled: false
    }
    isVersioningEnabled: false
    changeFeed: {
      enabled: false
    }
    restorePolicy: {
      enabled: false
    }
  }
}

resource containers 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' = [
  for name in archiveContainers: {
    parent: archiveBlobs
    name: name
    properties: {
      publicAccess: 'None'
    }
  }
]

resource lifecycleRules 'Microsoft.Storage/storageAccounts/managementPolicies@2024-01-01' = {
  parent: archive
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          // The fleet writes archived documents to the Cold tier; this catches what others put there.
          name: 'archive-to-cold'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: [
                'blockBlob'
              ]
              prefixMatch: [
                'archive/archived/'
              ]
            }
            actions: {
              baseBlob: {
                tierToCold: {
                  daysAfterModificationGreaterThan: 1
                }
              }
            }
          }
        }
        {
          name: 'delete-exports'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: [
                'blockBlob'
              ]
              prefixMatch: [
                'exports/'
              ]
            }
            actions: {
              baseBlob: {
                delete: {
                  daysAfterCreationGreaterThan: exportRetentionDays
                }
              }
            }
          }
        }
      ]
    }
  }
}

// Only metrics: the log of requests holds names of blobs, and those hold ids of people.
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: archiveBlobs
  name: 'monitoring'
  properties: {
    workspaceId: workspaceId
    metrics: [
      {
        category: 'Transaction'
        enabled: true
      }
    ]
  }
}

output hostId string = host.id
output hostName string = host.name
output packagesUrl string = '${host.properties.primaryEndpoints.blob}${packages}'
output archiveId string = archive.id
output archiveName string = archive.name
output archiveBlobUrl string = archive.properties.primaryEndpoints.blob
