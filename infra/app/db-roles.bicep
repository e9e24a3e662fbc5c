metadata description = 'Who may do what in which container. A role definition is a set of data actions; its assignment says where.'

param accountName string
param databaseName string

@description('Object ids by the holders of roles.json. Empty: the holder gets nothing.')
param principals object

// Written from shared/rights.py by "make infra".
var roles = loadJsonContent('../roles.json')
var holders = filter(items(principals), principal => !empty(principal.value))
var assignments = filter(concat(roles.identities, roles.people), each => !empty(principals[each.holder]))

resource account 'Microsoft.DocumentDB/databaseAccounts@2024-11-15' existing = {
  name: accountName
}

resource metadataRole 'Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions@2024-11-15' = {
  parent: account
  name: guid(account.id, 'metadata')
  properties: {
    roleName: 'Vimarsh metadata'
    type: 'CustomRole'
    assignableScopes: [
      account.id
    ]
    permissions: [
      {
        dataActions: [
          roles.metadataAction
        ]
      }
    ]
  }
}

resource definitions 'Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions@2024-11-15' = [
  for definition in roles.definitions: {
    parent: account
    name: guid(account.id, definition.name)
    properties: {
      roleName: 'Vimarsh ${definition.name}'
      type: 'CustomRole'
      assignableScopes: [
        account.id
      ]
      permissions: [
        {
          dataActions: definition.dataActions
        }
      ]
    }
  }
]

@batchSize(1)
resource metadataAssignments 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2024-11-15' = [
  for holder in holders: {
    parent: account
    name: guid(account.id, holder.key, 'metadata')
    properties: {
      principalId: holder.value
      roleDefinitionId: metadataRole.id
      scope: account.id
    }
  }
]

@batchSize(1)
resource itemAssignments 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2024-11-15' = [
  for assignment in assignments: {
    parent: account
    name: guid(account.id, assignment.holder, assignment.container)
    properties: {
      principalId: principals[assignment.holder]
      roleDefinitionId: resourceId(
        'Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions',
        accountName,
        guid(account.id, assignment.definition)
      )
      scope: '${account.id}/dbs/${databaseName}/colls/${assignment.container}'
    }
    dependsOn: [
      definitions
    ]
  }
]
