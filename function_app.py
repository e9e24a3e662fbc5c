"""The function app: registers the blueprints, and nothing else."""

import azure.functions as func

from functions import archive, http, people, schema, sources, timers, views
from shared.logs import configure_logging
from shared.settings import current_settings

configure_logging(current_settings().log_level)

app = func.FunctionApp()
for family in (sources, views, timers, http, schema, archive, people):
    app.register_functions(family.blueprint)
