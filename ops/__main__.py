"""The operator's command line: ``fleet``, or ``python -m ops``. The same calls as the HTTP API."""

from __future__ import annotations

from ops.archive import archive_cli
from ops.audit import audit_cli
from ops.containers import containers_cli
from ops.cost import cost_cli
from ops.docs import docs_cli
from ops.doctor import doctor
from ops.documents import documents_cli
from ops.generations import generations_cli
from ops.metrics import metrics_cli
from ops.people import people_cli
from ops.poison import poison_cli
from ops.prices import prices_cli
from ops.recovery import recovery_cli
from ops.schema import schema_cli
from ops.views import views_cli
from terminal.output import commands

cli = commands(
    "Inspect and repair the fleet.\n\nExit codes: 0 done; 1 refused, or differences found; 2 wrong usage or "
    "settings; 3 the database did not answer.",
    name="fleet",
)
for name, group in (
    ("poison", poison_cli),
    ("views", views_cli),
    ("audit", audit_cli),
    ("prices", prices_cli),
    ("archive", archive_cli),
    ("generations", generations_cli),
    ("containers", containers_cli),
    ("people", people_cli),
    ("documents", documents_cli),
    ("metrics", metrics_cli),
    ("schema", schema_cli),
    ("recovery", recovery_cli),
    ("cost", cost_cli),
    ("docs", docs_cli),
):
    cli.add_typer(group, name=name)

cli.command("doctor")(doctor)


if __name__ == "__main__":
    cli(prog_name="fleet")
