"""The chart refuses contradictory values and says how to correct them; its schema refuses single wrong values."""

import re
from typing import Any, NamedTuple

import pytest

from mylist.config.redis_timing import max_redis_timeout
from mylist.config.redis_url import RedisKind
from tests.chart.rendering import CHART, render
from tests.chart.tools.helm import HelmError

_REFUSAL = re.compile(r'append \$refuse (?:\(printf )?"((?:[^"\\]|\\.)*)"')
_EXTERNAL = {"mongodb.enabled": False, "externalMongodb.uri": "mongodb://a:27017/mylist-ott"}
_REDIS = {"redis.enabled": False, "externalRedis.hosts": ["a:6379"]}


class Contradiction(NamedTuple):
    """Values, and the message of their refusal."""

    message: str
    values: dict[str, Any]


CONTRADICTIONS = [
    Contradiction(
        "externalMongodb is set and mongodb.enabled is true, but the service uses only one MongoDB: set "
        "mongodb.enabled=false",
        {"externalMongodb.uri": "mongodb://a/b"},
    ),
    Contradiction(
        "externalMongodb is set and mongodb.enabled is true, but the service uses only one MongoDB: set "
        "mongodb.enabled=false",
        {"externalMongodb.existingSecret": "a"},
    ),
    Contradiction(
        "mongodb.enabled is false and externalMongodb is empty; set externalMongodb.uri, or uriKey with existingSecret",
        {"mongodb.enabled": False},
    ),
    Contradiction(
        "externalMongodb has both uri and uriKey; set only one of them",
        {**_EXTERNAL, "externalMongodb.uriKey": "uri"},
    ),
    Contradiction(
        "externalMongodb.uriKey names no Secret; set externalMongodb.existingSecret",
        {"mongodb.enabled": False, "externalMongodb.uriKey": "uri"},
    ),
    Contradiction(
        "externalMongodb.uriKey is a whole connection string; put user and tls into it",
        {"mongodb.enabled": False, "externalMongodb.uriKey": "uri", "externalMongodb.user": "me"},
    ),
    Contradiction(
        "externalMongodb.uri has credentials; move them to externalMongodb.user and existingSecret",
        {**_EXTERNAL, "externalMongodb.uri": "mongodb://me:secret@a/b"},
    ),
    Contradiction(
        "externalMongodb has both password and existingSecret; set only one of them",
        {**_EXTERNAL, "externalMongodb.password": "a", "externalMongodb.existingSecret": "b"},
    ),
    Contradiction(
        "externalMongodb.user has no password; set externalMongodb.existingSecret, or password",
        {**_EXTERNAL, "externalMongodb.user": "me"},
    ),
    Contradiction(
        "externalMongodb.password has no user; set externalMongodb.user",
        {**_EXTERNAL, "externalMongodb.password": "a"},
    ),
    Contradiction(
        "externalMongodb.tls has both caSecret and caConfigMap; set only one of them",
        {**_EXTERNAL, "externalMongodb.tls.caSecret": "a", "externalMongodb.tls.caConfigMap": "b"},
    ),
    Contradiction(
        "externalMongodb.tls has a certificate, but is not enabled; set externalMongodb.tls.enabled=true",
        {**_EXTERNAL, "externalMongodb.tls.caSecret": "a"},
    ),
    Contradiction(
        "externalMongodb.uriKey hides the ports that the NetworkPolicy must open; set externalMongodb.ports",
        {"mongodb.enabled": False, "externalMongodb.uriKey": "uri", "externalMongodb.existingSecret": "a"},
    ),
    Contradiction(
        "externalRedis is set and redis.enabled is true, but the service uses only one Redis: set redis.enabled=false",
        {"externalRedis.hosts": ["a:6379"]},
    ),
    Contradiction(
        "redis.enabled is false and externalRedis is empty; set externalRedis.hosts, or urlKey with existingSecret",
        {"redis.enabled": False},
    ),
    Contradiction(
        "externalRedis has both hosts and urlKey; set only one of them",
        {**_REDIS, "externalRedis.urlKey": "url"},
    ),
    Contradiction(
        "externalRedis.urlKey names no Secret; set externalRedis.existingSecret",
        {"redis.enabled": False, "externalRedis.urlKey": "url"},
    ),
    Contradiction(
        "externalRedis has both password and existingSecret; set only one of them",
        {**_REDIS, "externalRedis.password": "a", "externalRedis.existingSecret": "b"},
    ),
    Contradiction(
        "externalRedis.hosts has several addresses, but the mode is standalone; set externalRedis.mode to "
        "sentinel or cluster",
        {**_REDIS, "externalRedis.hosts": ["a:1", "b:1"]},
    ),
    Contradiction(
        "externalRedis.mode is sentinel; set externalRedis.sentinelName, the name of the primary in the Sentinels",
        {**_REDIS, "externalRedis.mode": "sentinel"},
    ),
    Contradiction(
        "settings.redisTimeout must be at most 0.2 with externalRedis.mode sentinel, "
        "because the Sentinels vote before each heartbeat",
        {
            **_REDIS,
            "externalRedis.mode": "sentinel",
            "externalRedis.sentinelName": "a",
            "settings.redisTimeout": max_redis_timeout(RedisKind.SENTINEL) + 0.01,
        },
    ),
    Contradiction(
        "settings.redisTimeout must be at most 0.22 with externalRedis.mode cluster, because the service asks a "
        "failing node twice",
        {
            **_REDIS,
            "externalRedis.mode": "cluster",
            "settings.redisTimeout": max_redis_timeout(RedisKind.CLUSTER) + 0.01,
        },
    ),
    Contradiction(
        "externalRedis.sentinelName is set; externalRedis.mode must be sentinel",
        {**_REDIS, "externalRedis.sentinelName": "a"},
    ),
    Contradiction(
        "externalRedis.database is set, but a Redis Cluster has no databases; remove it",
        {**_REDIS, "externalRedis.mode": "cluster", "externalRedis.database": 1},
    ),
    Contradiction(
        "externalRedis.tls has both caSecret and caConfigMap; set only one of them",
        {**_REDIS, "externalRedis.tls.caSecret": "a", "externalRedis.tls.caConfigMap": "b"},
    ),
    Contradiction(
        "externalRedis.tls has a certificate, but is not enabled; set externalRedis.tls.enabled=true",
        {**_REDIS, "externalRedis.tls.clientSecret": "a"},
    ),
    Contradiction(
        "externalRedis.urlKey hides the ports that the NetworkPolicy must open; set externalRedis.ports",
        {"redis.enabled": False, "externalRedis.urlKey": "url", "externalRedis.existingSecret": "a"},
    ),
    Contradiction(
        "networkPolicy.enabled is true and redis.networkPolicy.enabled is false, so no pod could reach redis; "
        "enable both or disable both",
        {"redis.networkPolicy.enabled": False},
    ),
    Contradiction(
        "autoscaling and keda are both enabled; each would revert the other's changes: enable only one",
        {"autoscaling.enabled": True, "keda.enabled": True},
    ),
    Contradiction(
        "autoscaling.minReplicas is 30; it must be at most maxReplicas, 20",
        {"autoscaling.enabled": True, "autoscaling.minReplicas": 30},
    ),
    Contradiction(
        "keda is enabled and resources.requests.cpu is not set; set it, because the target is "
        "a share of the CPU request",
        {"keda.enabled": True, "resources.requests.cpu": None},
    ),
    Contradiction(
        "terminationGracePeriodSeconds is 21; it must be more than preStopSleepSeconds, settings.shutdownDelay "
        "and settings.shutdownTimeout together, 21",
        {"terminationGracePeriodSeconds": 21},
    ),
    Contradiction(
        "settings.defaultPageSize is 50; it must be at most settings.maxPageSize, 40",
        {"settings.defaultPageSize": 50, "settings.maxPageSize": 40},
    ),
    Contradiction(
        "ingress is enabled and ingress.hosts is empty; set the hosts that it serves", {"ingress.enabled": True}
    ),
    Contradiction(
        "httpRoute is enabled and httpRoute.parentRefs is empty; set the Gateways that it attaches to",
        {"httpRoute.enabled": True},
    ),
    Contradiction(
        "service.nodePort is set and service.type is ClusterIP, which has no node port; remove it, or set "
        "service.type to NodePort",
        {"service.nodePort": 30000},
    ),
    *(
        Contradiction(
            f"{prefix}service.ipFamilies has two families, but {prefix}service.ipFamilyPolicy is SingleStack; "
            "set it to PreferDualStack or RequireDualStack",
            {
                "settings.host": "::",
                f"{prefix}service.ipFamilyPolicy": "SingleStack",
                f"{prefix}service.ipFamilies": ["IPv4", "IPv6"],
            },
        )
        for prefix in ("", "mongodb.", "redis.")
    ),
    *(
        Contradiction(
            f"service may have an IPv6 address and settings.host is {host}; set settings.host to ::, "
            "which is IPv6 and IPv4",
            {"settings.host": host, **families},
        )
        for host, families in (
            ("0.0.0.0", {"service.ipFamilies": ["IPv6"]}),  # noqa: S104 - what is refused
            ("0.0.0.0", {"service.ipFamilyPolicy": "PreferDualStack"}),  # noqa: S104 - likewise
            ("10.0.0.1", {"service.ipFamilyPolicy": "RequireDualStack"}),
        )
    ),
    *(
        Contradiction(
            f"{where} sets app.kubernetes.io/{name}, which the chart uses to select its pods; choose another name",
            {where: {f"app.kubernetes.io/{name}": "x"}},
        )
        for where in ("global.podLabels", "podLabels", "seed.podLabels", "events.podLabels", "tests.podLabels")
        for name in ("component", "part-of")
    ),
    *(
        Contradiction(
            f"{store}.podLabels sets app.kubernetes.io/{name}, which the chart uses to select its pods; choose "
            f"another name",
            {f"{store}.podLabels": {f"app.kubernetes.io/{name}": "x"}},
        )
        for store in ("mongodb", "redis")
        for name in ("instance", "part-of")
    ),
    Contradiction(
        "global.generatePasswords is false and these are empty: mongodb.auth.exporterPassword, "
        "mongodb.auth.rootPassword; "
        "set them, or mongodb.auth.existingSecret",
        {"global.generatePasswords": False, "redis.auth.password": "a", "mongodb.auth.password": "b"},
    ),
    Contradiction(
        "global.generatePasswords is false and redis.auth.password is empty; set redis.auth.existingSecret or "
        "redis.auth.password",
        {"global.generatePasswords": False, "mongodb.auth.existingSecret": "a"},
    ),
    Contradiction(
        "seed writes movies, users and lists into externalMongodb; set seed.external=true to confirm",
        {**_EXTERNAL, "seed.enabled": True},
    ),
    Contradiction(
        "events follows a change stream, which the chart's own MongoDB, a single server, does not have; set "
        "mongodb.enabled=false and externalMongodb to a replica set",
        {"events.enabled": True},
    ),
    Contradiction(
        "events.image has a tag or a digest and no repository; set events.image.repository",
        {**_EXTERNAL, "events.enabled": True, "events.image.tag": "1.0"},
    ),
    Contradiction(
        "seed.titles and seed.items are sizes of a load-test data set; set seed.users as well, or remove them",
        {"seed.enabled": True, "seed.items": 5},
    ),
    Contradiction(
        "seed.items is 25; it must be at most seed.titles, 10, because no list has a title twice",
        {"seed.enabled": True, "seed.users": 5, "seed.titles": 10},
    ),
    Contradiction(
        "jwt has both secret and existingSecret; set only one of them",
        {"settings.authMode": "jwt", "jwt.secret": "x" * 32, "jwt.existingSecret": "a"},
    ),
    Contradiction(
        "settings.authMode is jwt; exactly one of jwt, settings.jwtPublicKey and settings.jwtJwksUrl must be set",
        {"settings.authMode": "jwt"},
    ),
    Contradiction(
        "settings.authMode is jwt; exactly one of jwt, settings.jwtPublicKey and settings.jwtJwksUrl must be set",
        {"settings.authMode": "jwt", "jwt.existingSecret": "a", "settings.jwtJwksUrl": "https://a/jwks.json"},
    ),
    Contradiction(
        "settings.corsCredentials is true, but settings.corsOrigins is *; set settings.corsOrigins to the origins that "
        "may send credentials",
        {"settings.corsCredentials": True},
    ),
    Contradiction(
        "settings.uniqueExternalIds has eidr:type, which is missing in settings.externalIdNames; add it there",
        {"settings.uniqueExternalIds": "imdb\\, eidr:type"},
    ),
    Contradiction(
        "a key for tokens is set and settings.authMode is header; no token would be verified: set "
        "settings.authMode=jwt",
        {"settings.jwtJwksUrl": "https://a/jwks.json"},
    ),
    Contradiction(
        "prometheusRule.alerts has MyListUp, which is not the name of an alert; use a name from observability/runbooks",
        {"prometheusRule.alerts": {"MyListUp": {"enabled": False}}},
    ),
    *(
        Contradiction(
            f"prometheusRule.alerts.{name}.threshold is set, but that alert has no threshold; remove it",
            {"prometheusRule.alerts": {name: {"threshold": 3}}},
        )
        for name in ("MyListDown", "MyListStaleReads", "MyListFreshnessUnchecked", "MyListReadsBurn")
    ),
    *(
        Contradiction(
            f"{store}.{of} has neither tag nor digest; set one of them, because the chart never uses latest",
            {f"{store}.{of}.tag": ""},
        )
        for store in ("mongodb", "redis")
        for of in ("image", "exporter.image")
    ),
    Contradiction(
        "tracing.existingSecret is set and tracing.endpoint is empty, so no request would be traced; set "
        "tracing.endpoint",
        {"tracing.existingSecret": "a"},
    ),
    *(
        Contradiction(
            f"extraEnv sets {name}, which the chart sets; change the chart's value instead, or remove it",
            {"extraEnv": [{"name": name, "value": "1"}], "tracing.endpoint": "http://a:4318"},
        )
        for name in ("CACHE_TTL", "MONGODB_PASSWORD", "REDIS_HOST", "OTEL_SERVICE_NAME")
    ),
    Contradiction(
        "extraEnv sets A, which the chart sets; change the chart's value instead, or remove it",
        {"extraEnv": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
    ),
    Contradiction(
        "mongodb.auth has both a password and existingSecret; set only one of them",
        {"mongodb.auth.existingSecret": "a", "mongodb.auth.rootPassword": "b"},
    ),
    Contradiction(
        "mongodb.exporter.serviceMonitor is enabled and mongodb.exporter is not, so there would be no metrics; "
        "set mongodb.exporter.enabled=true",
        {"mongodb.exporter.serviceMonitor.enabled": True},
    ),
    Contradiction(
        "redis.auth has both password and existingSecret; set only one of them",
        {"redis.auth.existingSecret": "a", "redis.auth.password": "b"},
    ),
    Contradiction(
        "redis.exporter.serviceMonitor is enabled and redis.exporter is not, so there would be no metrics; "
        "set redis.exporter.enabled=true",
        {"redis.exporter.serviceMonitor.enabled": True},
    ),
    *(
        Contradiction(
            f"{store}.extraArgs sets {option}, which the chart sets; change the chart's value instead, or remove it",
            {f"{store}.extraArgs": arguments},
        )
        for store, option, arguments in (
            ("mongodb", "--port", ["--port=1"]),
            ("mongodb", "--wiredTigerCacheSizeGB", ["--wiredTigerCacheSizeGB", "2"]),
            ("mongodb", "--bind_ip", ["--bind_ip=::", "--bind_ip=0.0.0.0"]),
            ("redis", "--maxmemory-policy", ["--maxmemory-policy", "noeviction"]),
            ("redis", "--save", ["--save", "60 1"]),
            ("redis", "--hz", ["--hz", "10", "--hz", "20"]),
        )
    ),
    *(
        Contradiction(
            f"{store}.extraEnv sets {name}, which the chart sets; change the chart's value instead, or remove it",
            {f"{store}.extraEnv": [{"name": name, "value": "1"}] * times},
        )
        for store, name, times in (
            ("mongodb", "MONGO_INITDB_ROOT_PASSWORD", 1),
            ("mongodb", "EXPORTER_PASSWORD", 1),
            ("mongodb", "A", 2),
            ("redis", "REDISCLI_AUTH", 1),
            ("redis", "A", 2),
        )
    ),
]


@pytest.mark.parametrize("each", CONTRADICTIONS, ids=lambda each: f"{each.message[:60]} {[*each.values][-1]}")
def test_a_contradiction_is_refused_with_its_message(each: Contradiction) -> None:
    with pytest.raises(HelmError) as refused:
        render(each.values)

    assert f"\n  - {each.message}\n" in f"{refused.value}\n"


def test_every_contradiction_that_the_chart_detects_is_tested() -> None:
    known = {refusal for path in CHART.rglob("validate.yaml") for refusal in _REFUSAL.findall(path.read_text())}
    tested = [each.message for each in CONTRADICTIONS]

    assert len(known) > 40
    for refusal in known:
        pattern = ".*".join(map(re.escape, re.split(r"%[sv]", refusal)))
        assert any(re.fullmatch(pattern, message) for message in tested), refusal


def test_all_contradictions_are_reported_at_once() -> None:
    with pytest.raises(HelmError) as refused:
        render(mongodb__enabled=False, ingress__enabled=True)

    assert "externalMongodb is empty" in str(refused.value)
    assert "ingress.hosts is empty" in str(refused.value)


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"replica": 3}, "additional properties 'replica'"),
        ({"settings.cacheTTL": 3}, "additional properties 'cacheTTL'"),
        ({"settings.cacheTtl": 0}, "/settings/cacheTtl"),
        ({"settings.logLevel": "trace"}, "/settings/logLevel"),
        ({"settings.docs": "yes"}, "/settings/docs"),
        ({"image.tag": "latest"}, "/image/tag"),
        ({"image.digest": "0123"}, "/image/digest"),
        ({"settings.authMode": "basic"}, "/settings/authMode"),
        ({"jwt.secret": "short"}, "/jwt/secret"),
        ({"tracing.ratio": 2}, "/tracing/ratio"),
        ({"tracing.resourceAttributes": {"a": "b,c=d"}}, "/tracing/resourceAttributes"),
        ({"externalRedis.mode": "replica"}, "/externalRedis/mode"),
        ({"externalRedis.hosts": ["redis://a:6379"]}, "/externalRedis/hosts"),
        ({"externalRedis.user": "a:b"}, "/externalRedis/user"),
        ({"externalMongodb.uri": "http://a"}, "/externalMongodb/uri"),
        ({"podSecurityContext.runAsNonRoot": False}, "/podSecurityContext/runAsNonRoot"),
        ({"podSecurityContext.runAsUser": 0}, "/podSecurityContext/runAsUser"),
        ({"securityContext.allowPrivilegeEscalation": True}, "/securityContext/allowPrivilegeEscalation"),
        ({"securityContext.capabilities.add": ["SYS_ADMIN"]}, "/securityContext/capabilities/add"),
        ({"securityContext.privileged": True}, "additional properties 'privileged'"),
        ({"podDisruptionBudget.maxUnavailable": 0}, "/podDisruptionBudget/maxUnavailable"),
        ({"resources.limit": {}}, "additional properties 'limit'"),
        ({"mongodb.auth.passwort": "a"}, "additional properties 'passwort'"),
        ({"mongodb.image.tag": "latest"}, "/image/tag"),
        ({"mongodb.podSecurityContext.runAsNonRoot": False}, "/podSecurityContext/runAsNonRoot"),
        ({"redis.maxMemory": "much"}, "/maxMemory"),
        ({"global.compatibility.openshift.adaptSecurityContext": "yes"}, "/adaptSecurityContext"),
        ({"global.podLabels": {"a": True}}, "/podLabels/a"),
        ({"service.ipFamilies": ["ipv6"]}, "/service/ipFamilies"),
        ({"mongodb.service.ipFamilyPolicy": "DualStack"}, "/service/ipFamilyPolicy"),
        ({"networkPolicy.dnsPorts": []}, "/networkPolicy/dnsPorts"),
        ({"redis.exporter.image.tag": "latest"}, "/exporter/image/tag"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_by_the_schema(values: dict[str, Any], where: str) -> None:
    with pytest.raises(HelmError) as refused:
        render(values)

    assert where in str(refused.value)
