metadata description = 'Alerts: the thresholds of the specification that Azure measures, and what the fleet itself logs.'

@description('First part of the names of the alerts.')
param prefix string

param location string
param tags object
param actionGroupId string
param accountId string
param applicationInsightsId string

@description('Storage of the database in GB at which it counts as full.')
param storageLimitGB int

// Severity 0 and 1: critical. 2: warning. "dimensions" names what is watched one by one. The size of the data is
// reported every five minutes by each region, and a total adds up what lies in its window: one report of one region.
var metricAlertRules = [
  {
    name: 'cosmos-availability'
    description: 'The database answers fewer than 99 % of the requests.'
    severity: 0
    metric: 'ServiceAvailability'
    aggregation: 'Average'
    operator: 'LessThan'
    threshold: 99
    window: 'PT1H'
    frequency: 'PT5M'
    dimensions: []
  }
  {
    name: 'cosmos-ru-consumption'
    description: 'A container used 80 % of its throughput. Raise its maximum in shared/containers.py, or find out what asks so much.'
    severity: 2
    metric: 'NormalizedRUConsumption'
    aggregation: 'Average'
    operator: 'GreaterThan'
    threshold: 80
    window: 'PT15M'
    frequency: 'PT5M'
    dimensions: [
      'CollectionName'
    ]
  }
  {
    name: 'cosmos-hot-partition'
    description: 'One physical partition used 80 % of its throughput.'
    severity: 2
    metric: 'NormalizedRUConsumption'
    aggregation: 'Maximum'
    operator: 'GreaterThan'
    threshold: 80
    window: 'PT5M'
    frequency: 'PT5M'
    dimensions: [
      'CollectionName'
      'PartitionKeyRangeId'
    ]
  }
  {
    name: 'cosmos-storage-usage'
    description: 'The data take 80 % of the storage that is planned.'
    severity: 2
    metric: 'DataUsage'
    aggregation: 'Total'
    operator: 'GreaterThan'
    threshold: storageLimitGB * 800000000
    window: 'PT5M'
    frequency: 'PT5M'
    dimensions: [
      'Region'
    ]
  }
  {
    name: 'cosmos-storage-utilization'
    description: 'The data take 85 % of the storage that is planned.'
    severity: 1
    metric: 'DataUsage'
    aggregation: 'Total'
    operator: 'GreaterThan'
    threshold: storageLimitGB * 850000000
    window: 'PT5M'
    frequency: 'PT5M'
    dimensions: [
      'Region'
    ]
  }
  {
    name: 'cosmos-latency'
    description: 'The database takes more than 500 ms for a request, on average.'
    severity: 2
    metric: 'ServerSideLatencyGateway'
    aggregation: 'Average'
    operator: 'GreaterThan'
    threshold: 500
    window: 'PT5M'
    frequency: 'PT5M'
    dimensions: []
  }
]

// Answers that are failures. 304, 404, 409 and 412 are part of the fleet's work.
var failedStatusCodes = [
  '400'
  '401'
  '403'
  '408'
  '410'
  '413'
  '429'
  '500'
  '503'
]

// The fleet's log lines are JSON: shared/log_events.py has their names.
var events = 'traces | extend e = parse_json(message) | extend name = tostring(e.event)'
var logAlertRules = [
  {
    name: 'function-error-rate'
    description: 'More than 5 % of the invocations failed.'
    severity: 1
    query: 'requests | summarize failed = countif(success == false), total = count() | where total >= 20 | project value = 100.0 * failed / total'
    operator: 'GreaterThan'
    threshold: 5
    window: 'PT15M'
    frequency: 'PT5M'
  }
  {
    name: 'http-response-time'
    description: 'The HTTP functions take more than 3,000 ms on average.'
    severity: 1
    query: 'requests | where isnotempty(url) | summarize value = avg(duration)'
    operator: 'GreaterThan'
    threshold: 3000
    window: 'PT15M'
    frequency: 'PT5M'
  }
  {
    name: 'fleet-refuses-work'
    description: 'The fleet refuses all work until a person does what the reason says: docs/failure.md.'
    severity: 0
    query: '${events} | where name in ("fleet_refuses_work", "generations_lost") | summarize value = count()'
    operator: 'GreaterThan'
    threshold: 0
    window: 'PT15M'
    frequency: 'PT5M'
  }
  {
    name: 'audit-silent'
    description: 'The auditor finished no feed for 30 minutes: the timers do not run, or all of it fails.'
    severity: 1
    query: '${events} | where name == "feed_audited" | summarize value = count()'
    operator: 'LessThan'
    threshold: 1
    window: 'PT30M'
    frequency: 'PT5M'
  }
  {
    name: 'change-feed-lag'
    description: 'Changes were counted more than 15 minutes after they were written.'
    severity: 2
    query: '${events} | where name == "batch_folded" and toint(e.added) + toint(e.replaced) > 0 | summarize value = max(tolong(e.oldest_age_s))'
    operator: 'GreaterThan'
    threshold: 900
    window: 'PT15M'
    frequency: 'PT5M'
  }
  {
    name: 'audit-repaired'
    description: 'The auditor counted changes that the platform had lost.'
    severity: 2
    query: '${events} | where name == "feed_audited" | summarize value = sum(tolong(e.repaired))'
    operator: 'GreaterThan'
    threshold: 0
    window: 'PT15M'
    frequency: 'PT5M'
  }
  {
    name: 'poisoned'
    description: 'Documents went to poison: docs/how-to/operate-poison.md.'
    severity: 2
    query: '${events} | where name in ("document_poisoned", "view_poisoned", "withdrawal_failed") | summarize value = count()'
    operator: 'GreaterThan'
    threshold: 0
    window: 'PT15M'
    frequency: 'PT5M'
  }
  {
    name: 'archive-overdue'
    description: 'Documents are about to expire within 14 days, and were not archived yet.'
    severity: 1
    query: '${events} | where name == "archive_overdue" | summarize value = count()'
    operator: 'GreaterThan'
    threshold: 0
    window: 'P1D'
    frequency: 'PT6H'
  }
  {
    name: 'archive-silent'
    description: 'No archive of any container ended for two days.'
    severity: 1
    query: '${events} | where name == "documents_archived" | summarize value = count()'
    operator: 'LessThan'
    threshold: 1
    window: 'P2D'
    frequency: 'PT6H'
  }
]

resource metricAlerts 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for rule in metricAlertRules: {
    name: '${prefix}-${rule.name}'
    location: 'global'
    tags: tags
    properties: {
      description: rule.description
      severity: rule.severity
      enabled: true
      autoMitigate: true
      scopes: [
        accountId
      ]
      evaluationFrequency: rule.frequency
      windowSize: rule.window
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            name: 'threshold'
            criterionType: 'StaticThresholdCriterion'
            metricNamespace: 'Microsoft.DocumentDB/databaseAccounts'
            metricName: rule.metric
            timeAggregation: rule.aggregation
            operator: rule.operator
            threshold: rule.threshold
            dimensions: map(rule.dimensions, dimension => {
              name: dimension
              operator: 'Include'
              values: [
                '*'
              ]
            })
          }
        ]
      }
      actions: [
        {
          actionGroupId: actionGroupId
        }
      ]
    }
  }
]

resource failedRequests 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: '${prefix}-cosmos-failed-requests'
  location: 'global'
  tags: tags
  properties: {
    description: 'More than 10 requests to the database failed in a minute.'
    severity: 2
    enabled: true
    autoMitigate: true
    scopes: [
      accountId
    ]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT1M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'threshold'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.DocumentDB/databaseAccounts'
          metricName: 'TotalRequests'
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 10
          dimensions: [
            {
              name: 'StatusCode'
              operator: 'Include'
              values: failedStatusCodes
            }
          ]
        }
      ]
    }
    actions: [
      {
        actionGroupId: actionGroupId
      }
    ]
  }
}

resource logAlerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in logAlertRules: {
    name: '${prefix}-${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: '${prefix}-${rule.name}'
      description: rule.description
      severity: rule.severity
      enabled: true
      autoMitigate: true
      scopes: [
        applicationInsightsId
      ]
      evaluationFrequency: rule.frequency
      windowSize: rule.window
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Maximum'
            metricMeasureColumn: 'value'
            operator: rule.operator
            threshold: rule.threshold
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: {
        actionGroups: [
          actionGroupId
        ]
      }
    }
  }
]

resource resourceHealth 'Microsoft.Insights/activityLogAlerts@2020-10-01' = {
  name: '${prefix}-resource-health'
  location: 'global'
  tags: tags
  properties: {
    description: 'Azure says that a resource of the fleet is unavailable or degraded.'
    enabled: true
    scopes: [
      resourceGroup().id
    ]
    condition: {
      allOf: [
        {
          field: 'category'
          equals: 'ResourceHealth'
        }
      ]
    }
    actions: {
      actionGroups: [
        {
          actionGroupId: actionGroupId
        }
      ]
    }
  }
}
