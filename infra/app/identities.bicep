metadata description = 'The two identities of the function app. shared/rights.py says what each may do.'

@description('Name of the identity that counts and publishes.')
param fleetName string

@description('Name of the identity that archives, erases, restores and migrates.')
param lifecycleName string

param location string
param tags object

resource fleet 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: fleetName
  location: location
  tags: tags
}

resource lifecycle 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: lifecycleName
  location: location
  tags: tags
}

output fleetId string = fleet.id
output fleetClientId string = fleet.properties.clientId
output fleetPrincipalId string = fleet.properties.principalId
output lifecycleId string = lifecycle.id
output lifecycleClientId string = lifecycle.properties.clientId
output lifecyclePrincipalId string = lifecycle.properties.principalId
