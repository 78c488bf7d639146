"""Expressions for Prometheus, and the choices of the reader that they keep to."""

from observability.dashboards.panels import variable

API = 'kind!="other"'
READS = 'kind="read"'
WRITES = 'kind="write"'
FAILED = 'http_response_status_code=~"5.."'

# Outside Kubernetes there are neither namespaces nor pods, and most installations have one cluster, without a label. So
# these have a value for everything. A job always exists, and must be chosen: `process_…` and `up` are metrics of every
# program that Prometheus scrapes.
CLUSTER = variable("cluster", "Cluster", "label_values(mylist_build_info, cluster)", everything=".*")
NAMESPACE = variable(
    "namespace", "Namespace", 'label_values(mylist_build_info{cluster=~"$cluster"}, namespace)', everything=".*"
)
_PLACE = ('cluster=~"$cluster"', 'namespace=~"$namespace"')
_IN_PLACE = ",".join(_PLACE)
JOB = variable("job", "Job", f"label_values(mylist_build_info{{{_IN_PLACE}}}, job)")
_PODS = f'label_values(mylist_build_info{{{_IN_PLACE},job=~"$job"}}, pod)'
POD = variable("pod", "Pod", _PODS, everything=".*")
# The names of pods begin with the name of their deployment, and so does the autoscaler's name, see `autoscaler`.
DEPLOYMENT = variable("deployment", "Deployment", _PODS, regex="/(.+)-[^-]+-[^-]+$/", hidden=True)
MONGODB_JOB = variable("mongodb_job", "MongoDB exporter", f"label_values(mongodb_up{{{_IN_PLACE}}}, job)")
REDIS_JOB = variable("redis_job", "Redis exporter", f"label_values(redis_up{{{_IN_PLACE}}}, job)")


def _select(metric: str, *matchers: str) -> str:
    return f"{metric}{{{','.join((*_PLACE, *matchers))}}}"


def service(metric: str, *matchers: str) -> str:
    """Selects a metric of the service's own processes."""
    return _select(metric, 'job=~"$job"', 'pod=~"$pod"', *matchers)


def events(metric: str) -> str:
    """Selects a metric of the process that delivers change events to other systems."""
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
    """Return the memory limit of each pod: the lowest limit of its containers."""
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
    """Return the highest value of the series, in each cluster."""
    return aggregate("max", expression, *by)


def rate(selected: str, *by: str) -> str:
    """Return the increase of a counter per second, in each cluster."""
    return aggregate("sum", f"rate({selected}[$__rate_interval])", *by)


def buckets(selected: str) -> str:
    """Return the observations of a histogram (`…_bucket`) per second and bucket, summed over all chosen clusters."""
    return f"sum by (le) (rate({selected}[$__rate_interval]))"


def quantile(share: float, selected: str, *by: str) -> str:
    """Return a quantile of a duration, in seconds, from a histogram (`…_bucket`): for 0.99, 99 % were shorter."""
    return f"histogram_quantile({share:g}, {rate(selected, 'le', *by)})"


def share(part: str, whole: str) -> str:
    """Return the part's share of the whole: 0 if the part has no series, no series if the whole is 0 or missing."""
    return f"({part} or 0 * {whole}) / ({whole} > 0)"
