"""S3 on a free port of 127.0.0.1, for role credentials alone: those that the Identity Center at the URL given has issued
and that are still valid.

moto is the store. What stands before it computes each signature anew with botocore's own signer. Says its URL on a line
of its own, and after that a line for each request: what became of it, the access key id, the method and the path.
"""

import hashlib
import io
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import moto.server
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from werkzeug.exceptions import ClientDisconnected
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import Client
from werkzeug.wsgi import get_input_stream

# What a payload's hash may be instead: it is not signed, or in chunks that are signed one by one (and of which only the
# first signature, over the head of the request, is checked here).
OTHER_PAYLOADS = ("UNSIGNED-PAYLOAD", "STREAMING-")

# No proxy that a test has planted.
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Refused(Exception):
    """A request that S3 answers with this code, and 403."""


class RoleCredentialsOnly:
    def __init__(self, store, identity_center):
        self.store, self.identity_center, self.known = store, identity_center, {}

    def __call__(self, environ, start_response):
        key, arrived = "-", time.time()
        try:
            body = get_input_stream(environ).read()
        except ClientDisconnected:
            start_response("400 Bad Request", [])
            return []
        environ["wsgi.input"] = io.BytesIO(body)
        try:
            key, names, signature, scope = self.parts(environ)
            self.check(environ, body, self.issued(key), names, signature, scope, arrived)
        except Refused as refused:
            return self.answer(environ, start_response, key, str(refused))
        self.say("accepted", key, environ)
        return self.store(environ, start_response)

    def parts(self, environ):
        """Of the Authorization header. What is signed in the URL comes from none of our clients."""
        kind, _, rest = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if kind != "AWS4-HMAC-SHA256":
            raise Refused("AccessDenied")
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        key, *scope = parts["Credential"].split("/")
        return key, parts["SignedHeaders"].split(";"), parts["Signature"], scope

    def issued(self, key):
        if key not in self.known:
            url = f"{self.identity_center}/issued?" + urllib.parse.urlencode({"key": key})
            try:
                with direct.open(url) as answer:
                    self.known[key] = json.load(answer)
            except urllib.error.HTTPError as error:
                raise Refused("InvalidAccessKeyId") from error
        return self.known[key] | {"key": key}

    def check(self, environ, body, issued, names, signature, scope, arrived):
        header = lambda name: environ.get("HTTP_" + name.upper().replace("-", "_"), "")
        if header("x-amz-security-token") != issued["token"]:
            raise Refused("InvalidToken")
        request = AWSRequest(environ["REQUEST_METHOD"], f"http://{header('host')}{environ['RAW_URI']}")
        for name in names:
            request.headers[name] = environ.get(name.upper().replace("-", "_")) or header(name)
        request.context["timestamp"] = header("x-amz-date")
        signer = S3SigV4Auth(Credentials(issued["key"], issued["secret"], issued["token"]), scope[2], scope[1])
        canonical = signer.canonical_request(request)
        if signer.signature(signer.string_to_sign(request, canonical), request) != signature:
            raise Refused("SignatureDoesNotMatch")
        payload = header("x-amz-content-sha256")
        if not payload.startswith(OTHER_PAYLOADS) and hashlib.sha256(body).hexdigest() != payload:
            raise Refused("XAmzContentSHA256Mismatch")
        if issued["expires"] <= arrived:
            raise Refused("ExpiredToken")

    def answer(self, environ, start_response, key, code):
        self.say(code, key, environ)
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{code}</Message></Error>'
        head = environ["REQUEST_METHOD"] == "HEAD"
        start_response("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [] if head else [body.encode()]

    def say(self, outcome, key, environ):
        sys.stdout.write(f"{outcome} {key} {environ['REQUEST_METHOD']} {environ['RAW_URI']}\n")
        sys.stdout.flush()


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_):
        pass


store = moto.server.create_backend_app("s3")
server = make_server("127.0.0.1", 0, RoleCredentialsOnly(store, sys.argv[1]), threaded=True, request_handler=Quiet)
url = f"http://127.0.0.1:{server.port}"
assert Client(store).put("/bucket", base_url=url).status_code == 200
print(url, flush=True)
server.serve_forever()
