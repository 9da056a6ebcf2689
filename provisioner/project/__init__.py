"""The public Python API: a project, and everything that can be done with it.

Everything that a program needs is here::

    import os
    from provisioner import Bounds, Project

    project = Project.open("my-accounts", environ=os.environ)
    plans = project.plan()
    reports = project.apply(plans, approve=lambda plans: plans.creates <= 5, bounds=Bounds(new_state=True))
    for report in reports.reports:
        for outcome in report.outcomes:
            print(report.parent, outcome.name, outcome.result.value)
    raise SystemExit(reports.exit_code)

Import the module that is needed for the types of results: loading all of them takes time
that a plan does not have.
"""

from provisioner.project.project import Project

__all__ = ["Project"]
