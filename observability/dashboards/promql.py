"""Expressions for Prometheus, and the choices of the reader that they keep to."""

from observability.dashboards.panels import variable

API = 'kind!="other"'
READS = 'kind="read"'
WRITES = 'kind="write"'
FAILED = 'http_response_status_code=~"5.."'

# Whoever runs the service without Kubernetes has neither namespaces nor pods, and most have one cluster, without a
# label. A job there always is, and nothing may stand for all of them: `process_…` and `up` are of every program that
# Prometheus knows.
CLUSTER = variable("cluster", "Cluster", "label_values(mylist_build_info, cluster)", everything=".*")
NAMESPACE = variable(
    "namespace", "Namespace", 'label_values(mylist_build_info{cluster=~"$cluster"}, namespace)', everything=".*"
)
_PLACE = ('cluster=~"$cluster"', 'namespace=~"$namespace"')
_IN_PLACE = ",".join(_PLACE)
JOB = variable("job", "Job", f"label_values(mylist_build_info{{{_IN_PLACE}}}, job)")
_PODS = f'label_values(mylist_build_info{{{_IN_PLACE},job=~"$job"}}, pod)'
POD = variable("pod", "Pod", _PODS, everything=".*")
# A pod is called after its deployment; so is the autoscaler, see `autoscaler`.
DEPLOYMENT = variable("deployment", "Deployment", _PODS, regex="/(.+)-[^-]+-[^-]+$/", hidden=True)
MONGODB_JOB = variable("mongodb_job", "MongoDB exporter", f"label_values(mongodb_up{{{_IN_PLACE}}}, job)")
REDIS_JOB = variable("redis_job", "Redis exporter", f"label_values(redis_up{{{_IN_PLACE}}}, job)")


def _select(metric: str, *matchers: str) -> str:
    return f"{metric}{{{','.join((*_PLACE, *matchers))}}}"


def service(metric: str, *matchers: str) -> str:
    """Selects a metric of the service's own processes."""
    return _select(metric, 'job=~"$job"', 'pod=~"$pod"', *matchers)


def events(metric: str) -> str:
    """Selects a metric of the process that tells other systems of changes."""
    return _select(metric, 'job="mylist-events"')


def objective(name: str, window: str) -> str:
    """Selects the recorded share of bad events of an objective; the worst, where several jobs are chosen."""
    return worst(_select(f"slo:{name}:error_ratio_rate{window}", 'job=~"$job"'))


def deployment(metric: str) -> str:
    """Selects a metric that kube-state-metrics has of the deployment."""
    return _select(metric, 'deployment=~"$deployment"')


def autoscaler(metric: str) -> str:
    """Selects a metric that kube-state-metrics has of the autoscaler, which may be one that KEDA made."""
    return _select(metric, 'horizontalpodautoscaler=~"(keda-hpa-)?$deployment"')


def memory_limit() -> str:
    """Gives the memory limit of each pod: that of its container that may have least."""
    limits = _select("kube_pod_container_resource_limits", 'pod=~"$pod"', 'resource="memory"')
    return aggregate("min", limits, "namespace", "pod")


def mongodb(metric: str, *matchers: str) -> str:
    """Selects a metric of the MongoDB exporter."""
    return _select(metric, 'job=~"$mongodb_job"', *matchers)


def redis(metric: str, *matchers: str) -> str:
    """Selects a metric of the Redis exporter."""
    return _select(metric, 'job=~"$redis_job"', *matchers)


def aggregate(operator: str, expression: str, *by: str) -> str:
    """Aggregates series, one for each cluster and each value of the labels `by`."""
    return f"{operator} by ({', '.join(('cluster', *by))}) ({expression})"


def worst(expression: str, *by: str) -> str:
    """Gives the highest of the series, in each cluster."""
    return aggregate("max", expression, *by)


def rate(selected: str, *by: str) -> str:
    """Gives how often a second a counter was raised, in each cluster."""
    return aggregate("sum", f"rate({selected}[$__rate_interval])", *by)


def buckets(selected: str) -> str:
    """Gives how often a second what a histogram (`…_bucket`) has seen fell into each bucket, in all chosen clusters."""
    return f"sum by (le) (rate({selected}[$__rate_interval]))"


def quantile(share: float, selected: str, *by: str) -> str:
    """Gives the duration within which this share of what a histogram (`…_bucket`) has seen ended."""
    return f"histogram_quantile({share:g}, {rate(selected, 'le', *by)})"


def share(part: str, whole: str) -> str:
    """Gives a part of a whole: 0 where there is none of it, nothing where there is nothing at all."""
    return f"({part} or 0 * {whole}) / ({whole} > 0)"
