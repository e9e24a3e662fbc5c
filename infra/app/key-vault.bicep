metadata description = 'The key vault of the hash keys. The secret itself is created by scripts/create-hash-keys.sh.'

@minLength(3)
@maxLength(24)
param name string

param location string
param tags object

@allowed([
  'Enabled'
  'Disabled'
])
param publicNetworkAccess string

@description('Workspace for diagnostics.')
param workspaceId string

// Without the keys nobody can tell who was erased: the vault cannot be purged for 90 days.
resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    publicNetworkAccess: publicNetworkAccess
    networkAcls: {
      defaultAction: publicNetworkAccess == 'Enabled' ? 'Allow' : 'Deny'
      bypass: 'None'
    }
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'monitoring'
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'AuditEvent'
        enabled: true
      }
    ]
  }
}

output id string = vault.id
output name string = vault.name
