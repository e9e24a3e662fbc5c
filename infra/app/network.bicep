metadata description = 'A virtual network, and private endpoints of the database, the storage and the key vault.'

param name string

@description('First part of the names of the private endpoints.')
param endpointPrefix string

param location string
param tags object
param accountId string
param hostStorageId string
param archiveStorageId string
param keyVaultId string

var zones = [
  'privatelink.documents.azure.com'
  'privatelink.blob.${environment().suffixes.storage}'
  'privatelink.queue.${environment().suffixes.storage}'
  'privatelink.table.${environment().suffixes.storage}'
  'privatelink.vaultcore.azure.net'
]

// "zone" is a place in the list above.
var endpoints = [
  {
    name: 'cosmos'
    target: accountId
    group: 'Sql'
    zone: 0
  }
  {
    name: 'host-blob'
    target: hostStorageId
    group: 'blob'
    zone: 1
  }
  {
    name: 'host-queue'
    target: hostStorageId
    group: 'queue'
    zone: 2
  }
  {
    name: 'host-table'
    target: hostStorageId
    group: 'table'
    zone: 3
  }
  {
    name: 'archive-blob'
    target: archiveStorageId
    group: 'blob'
    zone: 1
  }
  {
    name: 'vault'
    target: keyVaultId
    group: 'vault'
    zone: 4
  }
]

resource securityGroup 'Microsoft.Network/networkSecurityGroups@2024-05-01' = {
  name: '${name}-endpoints'
  location: location
  tags: tags
}

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [
        '10.0.0.0/16'
      ]
    }
    subnets: [
      {
        name: 'endpoints'
        properties: {
          addressPrefix: '10.0.1.0/24'
          networkSecurityGroup: {
            id: securityGroup.id
          }
        }
      }
      {
        // Flex Consumption takes an address for each instance.
        name: 'functions'
        properties: {
          addressPrefix: '10.0.4.0/22'
          networkSecurityGroup: {
            id: securityGroup.id
          }
          delegations: [
            {
              name: 'functions'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
    ]
  }
}

resource dnsZones 'Microsoft.Network/privateDnsZones@2020-06-01' = [
  for zone in zones: {
    name: zone
    location: 'global'
    tags: tags
  }
]

resource dnsLinks 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2020-06-01' = [
  for (zone, place) in zones: {
    parent: dnsZones[place]
    name: name
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: {
        id: network.id
      }
    }
  }
]

resource privateEndpoints 'Microsoft.Network/privateEndpoints@2024-05-01' = [
  for endpoint in endpoints: {
    name: '${endpointPrefix}-${endpoint.name}'
    location: location
    tags: tags
    properties: {
      subnet: {
        id: '${network.id}/subnets/endpoints'
      }
      privateLinkServiceConnections: [
        {
          name: endpoint.name
          properties: {
            privateLinkServiceId: endpoint.target
            groupIds: [
              endpoint.group
            ]
          }
        }
      ]
    }
  }
]

resource endpointZones 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = [
  for (endpoint, place) in endpoints: {
    parent: privateEndpoints[place]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: endpoint.group
          properties: {
            privateDnsZoneId: dnsZones[endpoint.zone].id
          }
        }
      ]
    }
  }
]

output functionsSubnetId string = '${network.id}/subnets/functions'
