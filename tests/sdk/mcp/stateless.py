"""Reads what the conformance tool wrote of server-stateless: fails when a check failed that HAIA could have passed.

Checks that call tools of the tool's own fixture are told and do not count: most are marked as untestable by the tool itself.
"""

import json
import pathlib
import sys

# It calls the fixture's test_trigger_tool_change, and takes the refusal for a change. That changes are told is tested with real ones.
FIXTURES = {"sep-2575-server-sends-tools-list-changed-on-subscription"}

checks = []
for path in sorted(pathlib.Path(sys.argv[1]).rglob("checks.json")):
    checks.extend(json.loads(path.read_text(encoding="utf-8")))
if len(checks) < 15:
    sys.exit(f"only {len(checks)} checks were made")
failed = [check for check in checks if check["status"] in ("FAILURE", "WARNING")]
untestable = [check for check in failed if (check.get("details") or {}).get("untestable") or check["id"] in FIXTURES]
for check in untestable:
    print(f"        not testable without fixtures: {check['id']}")
wrong = [check for check in failed if check not in untestable]
for check in wrong:
    print(f"        {check['id']}: {check.get('errorMessage')} {json.dumps(check.get('details'))[:400]}")
sys.exit(1 if wrong else 0)
