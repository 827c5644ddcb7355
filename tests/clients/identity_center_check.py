#!/usr/bin/env python3
"""Drives the loopback Identity Center with clients built from botocore's own service models.

    python3 identity_center_check.py ENDPOINT [--until-expired]

ENDPOINT is http://127.0.0.1:PORT of a server in its default world. With --until-expired its role credentials must
live a few seconds only: the check then also sees them expire. Prints one `ok` line a step; any failure is a traceback
and exit status 1. Needs boto3, nothing else.
"""

import base64
import hashlib
import http.client
import secrets
import sys
import time
from contextlib import contextmanager
from urllib.parse import parse_qs, urlencode, urlsplit

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

START_URL = "https://awsdir-sandbox.awsapps.com/start"
SCOPE = "sso:account:access"
REDIRECT = "http://127.0.0.1/oauth/callback"
REDIRECT_WITH_PORT = "http://127.0.0.1:49152/oauth/callback"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def ok(step):
    print("ok", step, flush=True)


def client(service, credentials=None):
    """A client with exactly the given role credentials, or none at all; no retries."""
    keys = credentials or {}
    return boto3.session.Session(
        aws_access_key_id=keys.get("accessKeyId", "unused"),
        aws_secret_access_key=keys.get("secretAccessKey", "unused"),
        aws_session_token=keys.get("sessionToken"),
        region_name="eu-west-1",
    ).client(
        service,
        endpoint_url=ENDPOINT,
        config=Config(
            retries={"total_max_attempts": 1},
            proxies={},
            **({} if credentials else {"signature_version": UNSIGNED}),
        ),
    )


@contextmanager
def refused(name, status):
    """Expects the error `name` (as an exception class of the model, if the model has it) and HTTP status."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        seen = (code, type(error).__name__, error.response["ResponseMetadata"]["HTTPStatusCode"])
        assert code == name and seen[1] in (name, "ClientError") and seen[2] == status, seen
        assert error.response["ResponseMetadata"].get("RequestId"), "no request id"
    else:
        raise AssertionError(f"{name} expected")


def modelled(service_client, *names):
    """The model must know these errors, so that `refused` compares real classes."""
    for name in names:
        assert getattr(service_client.exceptions, name)


def browse(url):
    """GET without following redirects: status, Location, body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    connection.request("GET", f"{parts.path}?{parts.query}")
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, answer.getheader("Location"), body


def register(**more):
    answer = oidc.register_client(clientName="botocore-check", clientType="public", **more)
    assert answer["clientSecretExpiresAt"] > answer["clientIdIssuedAt"] >= time.time() - 60
    return {"clientId": answer["clientId"], "clientSecret": answer["clientSecret"]}


def register_pkce():
    return register(
        grantTypes=["authorization_code", "refresh_token"],
        redirectUris=[REDIRECT],
        issuerUrl=START_URL,
        scopes=[SCOPE],
    )


def authorize(who, verifier, **changes):
    """Opens the authorize page as the AWS CLI spells it; the parameters of the callback."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    parameters = {
        "response_type": "code",
        "client_id": who["clientId"],
        "redirect_uri": REDIRECT_WITH_PORT,
        "state": "st+a/te=",
        "code_challenge_method": "S256",
        "scopes": SCOPE,
        "code_challenge": challenge,
    } | changes
    status, location, body = browse(f"{ENDPOINT}/authorize?{urlencode(parameters)}")
    if status != 302:
        return status, body
    assert location.startswith(REDIRECT_WITH_PORT + "?"), location
    answer = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    assert answer["state"] == "st+a/te="
    return status, answer


def redeem(who, code, verifier, redirect=REDIRECT_WITH_PORT):
    return oidc.create_token(
        **who, grantType="authorization_code", code=code, codeVerifier=verifier, redirectUri=redirect
    )


def sign_in():
    who, verifier = register_pkce(), secrets.token_urlsafe(48)
    return who, redeem(who, authorize(who, verifier)[1]["code"], verifier)


def check_registration():
    modelled(oidc, "InvalidClientMetadataException", "InvalidRedirectUriException", "InvalidRequestException")
    assert register()["clientId"] != register()["clientId"]
    with refused("InvalidClientMetadataException", 400):
        oidc.register_client(clientName="x", clientType="confidential")
    grants = {"grantTypes": ["authorization_code"], "scopes": [SCOPE]}
    with refused("InvalidRedirectUriException", 400):
        register(**grants, redirectUris=["https://example.test/callback"], issuerUrl=START_URL)
    with refused("InvalidRequestException", 400):
        register(**grants, redirectUris=[REDIRECT], issuerUrl="https://other.awsapps.com/start")
    ok("RegisterClient")


def check_pkce():
    modelled(oidc, "InvalidGrantException", "InvalidClientException", "UnauthorizedClientException")
    who, verifier = register_pkce(), secrets.token_urlsafe(48)
    code = authorize(who, verifier)[1]["code"]
    tokens = redeem(who, code, verifier)
    assert tokens["tokenType"] == "Bearer" and tokens["expiresIn"] > 0
    assert tokens["accessToken"] and tokens["refreshToken"]
    ok("PKCE sign-in")
    with refused("InvalidGrantException", 400):
        redeem(who, code, verifier)
    ok("an authorization code works once")
    with refused("InvalidGrantException", 400):
        redeem(who, authorize(who, verifier)[1]["code"], verifier[:-1] + "~")
    with refused("InvalidGrantException", 400):
        redeem(who, authorize(who, verifier)[1]["code"], verifier, REDIRECT)
    with refused("InvalidGrantException", 400):
        redeem(register_pkce(), authorize(who, verifier)[1]["code"], verifier)
    with refused("InvalidClientException", 401):
        redeem(who | {"clientSecret": "wrong"}, authorize(who, verifier)[1]["code"], verifier)
    with refused("UnauthorizedClientException", 400):
        redeem(register(), "any", verifier)
    ok("verifier, redirect URI, client and secret are checked")
    for changes, error in [
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scopes": "other:scope"}, "invalid_scope"),
    ]:
        assert authorize(who, verifier, **changes)[1]["error"] == error
    assert authorize(who, verifier, client_id="unknown")[0] == 400
    assert authorize(who, verifier, redirect_uri="http://127.0.0.1:1/other")[0] == 400
    ok("the authorize page refuses what is not registered")


def check_refresh():
    modelled(oidc, "InvalidGrantException", "UnsupportedGrantTypeException")
    who, tokens = sign_in()

    def refresh(token, who=who):
        return oidc.create_token(**who, grantType="refresh_token", refreshToken=token)

    renewed = refresh(tokens["refreshToken"])
    assert renewed["accessToken"] != tokens["accessToken"]
    assert renewed["refreshToken"] != tokens["refreshToken"]
    with refused("InvalidGrantException", 400):
        refresh(tokens["refreshToken"])
    with refused("InvalidGrantException", 400):
        refresh(renewed["refreshToken"], register_pkce())
    with refused("UnsupportedGrantTypeException", 400):
        oidc.create_token(**who, grantType="password")
    ok("a refresh token works once, for its client, and is rotated")


def check_device():
    modelled(oidc, "AuthorizationPendingException", "SlowDownException", "AccessDeniedException")
    who = register()
    with refused("InvalidRequestException", 400):
        oidc.start_device_authorization(**who, startUrl="https://other.awsapps.com/start")

    def start(who):
        device = oidc.start_device_authorization(**who, startUrl=START_URL)
        assert device["expiresIn"] > 0 and device["interval"] >= 1
        assert device["userCode"] in device["verificationUriComplete"]
        assert device["verificationUriComplete"].startswith(device["verificationUri"])
        return device

    def poll(who, device):
        return oidc.create_token(**who, grantType=DEVICE_GRANT, deviceCode=device["deviceCode"])

    device = start(who)
    for _ in range(2):
        with refused("AuthorizationPendingException", 400):
            poll(who, device)
    with refused("SlowDownException", 400):
        poll(who, device)
    ok("an undecided device authorization is pending, and hasty polls are slowed down")
    assert browse(device["verificationUriComplete"])[0] == 200
    tokens = poll(who, device)
    assert tokens["accessToken"] and not tokens.get("refreshToken")
    with refused("InvalidGrantException", 400):
        poll(who, device)
    ok("device sign-in without scopes: no refresh token")
    who = register(scopes=[SCOPE])
    device = start(who)
    browse(device["verificationUriComplete"])
    assert poll(who, device)["refreshToken"]
    ok("device sign-in with the scope: a refresh token")
    device = start(who)
    browse(f"{ENDPOINT}/device/decide?user_code={device['userCode']}&decision=deny")
    with refused("AccessDeniedException", 400):
        poll(who, device)
    ok("a refused device authorization")


def check_portal(token):
    modelled(portal, "UnauthorizedException", "ResourceNotFoundException", "InvalidRequestException")
    accounts = portal.get_paginator("list_accounts").paginate(
        accessToken=token, PaginationConfig={"PageSize": 1}
    )
    pages = [page["accountList"] for page in accounts]
    assert [len(page) for page in pages] == [1, 1, 1], pages
    assert {a["accountId"]: a["accountName"] for page in pages for a in page} == {
        "111111111111": "dev",
        "222222222222": "prod",
        "012345678901": "tools",
    }
    roles = portal.get_paginator("list_account_roles").paginate(accessToken=token, accountId="012345678901")
    listed = [(r["accountId"], r["roleName"]) for page in roles for r in page["roleList"]]
    assert listed == [("012345678901", "ReadOnly"), ("012345678901", "Admin")], listed
    ok("accounts and permission sets, page by page")
    with refused("InvalidRequestException", 400):
        portal.list_accounts(accessToken=token, nextToken="forged")
    with refused("ResourceNotFoundException", 404):
        portal.list_account_roles(accessToken=token, accountId="999999999999")
    with refused("ForbiddenException", 403):
        portal.get_role_credentials(accessToken=token, accountId="111111111111", roleName="Owner")
    with refused("UnauthorizedException", 401):
        portal.get_role_credentials(accessToken="unknown", accountId="111111111111", roleName="Admin")
    ok("the portal's refusals")


def role_credentials(token, account="012345678901", role="ReadOnly"):
    answer = portal.get_role_credentials(accessToken=token, accountId=account, roleName=role)
    return answer["roleCredentials"]


def check_sts(credentials):
    assert len(credentials["accessKeyId"]) == 20 and len(credentials["secretAccessKey"]) == 40
    identity = client("sts", credentials).get_caller_identity()
    assert identity["Account"] == "012345678901"
    role = "arn:aws:sts::012345678901:assumed-role/AWSReservedSSO_ReadOnly_"
    assert identity["Arn"].startswith(role) and identity["Arn"].endswith("/sandbox"), identity
    ok("GetCallerIdentity, its signature verified")
    for changes, error in [
        ({"secretAccessKey": "A" * 40}, "SignatureDoesNotMatch"),
        ({"sessionToken": "another"}, "InvalidClientTokenId"),
        ({"accessKeyId": "ASIAUNKNOWN000000000"}, "InvalidClientTokenId"),
    ]:
        with refused(error, 403):
            client("sts", credentials | changes).get_caller_identity()
    with refused("MissingAuthenticationToken", 403):
        client("sts").get_caller_identity()
    ok("wrong secret, session token, access key id, and no signature")


def check_logout(who, tokens):
    credentials = role_credentials(tokens["accessToken"])
    portal.logout(accessToken=tokens["accessToken"])
    with refused("UnauthorizedException", 401):
        portal.list_accounts(accessToken=tokens["accessToken"])
    with refused("UnauthorizedException", 401):
        portal.logout(accessToken=tokens["accessToken"])
    with refused("InvalidGrantException", 400):
        oidc.create_token(**who, grantType="refresh_token", refreshToken=tokens["refreshToken"])
    client("sts", credentials).get_caller_identity()
    ok("Logout ends the tokens, not the role credentials")


def check_expiry(credentials):
    ends = credentials["expiration"] / 1000
    assert ends - time.time() < 30, "--until-expired needs a short role lifetime"
    sts = client("sts", credentials)
    while time.time() < ends:
        time.sleep(max(0.0, ends - time.time()))
    with refused("ExpiredToken", 403):
        sts.get_caller_identity()
    ok("expired role credentials are refused")


ENDPOINT = sys.argv[1].rstrip("/")
oidc = client("sso-oidc")
portal = client("sso")

check_registration()
check_pkce()
check_refresh()
check_device()
client_registration, session = sign_in()
check_portal(session["accessToken"])
check_sts(role_credentials(session["accessToken"]))
check_logout(client_registration, session)
if "--until-expired" in sys.argv[2:]:
    check_expiry(role_credentials(sign_in()[1]["accessToken"]))
