# SPDX-License-Identifier: Apache-2.0
"""s3.py METHOD PATH: one request of the account to the service at $S3, signed here and not by what is tested."""
import datetime
import hashlib
import hmac
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

method, path = sys.argv[1:3]
body = sys.argv[3].encode() if len(sys.argv) > 3 else b""
url = urllib.parse.urlsplit(os.environ["S3"] + path)
now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
payload = hashlib.sha256(body).hexdigest()
names = "host;x-amz-content-sha256;x-amz-date"
query = "&".join(sorted(part if "=" in part else part + "=" for part in url.query.split("&") if part))
canonical = f"{method}\n{url.path}\n{query}\nhost:{url.netloc}\nx-amz-content-sha256:{payload}\nx-amz-date:{now}\n\n{names}\n{payload}"
scope = f"{now[:8]}/here/s3/aws4_request"
key = b"AWS4test-secret"
for part in scope.split("/"):
    key = hmac.new(key, part.encode(), hashlib.sha256).digest()
text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
sign = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
request = urllib.request.Request(url.geturl(), method=method, data=body or None, headers={
    "x-amz-date": now, "x-amz-content-sha256": payload,
    "Authorization": f"AWS4-HMAC-SHA256 Credential=test-id/{scope}, SignedHeaders={names}, Signature={sign}"})
try:
    with urllib.request.urlopen(request, timeout=30) as answer:
        sys.stdout.buffer.write(answer.read())
except urllib.error.HTTPError as error:
    sys.exit(f"{method} {path}: {error.code} {error.read()[:500]}")
