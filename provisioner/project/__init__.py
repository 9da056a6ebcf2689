"""The public Python API: a project, and everything that you can do with it.

A program needs nothing else::

    import os
    from provisioner import Bounds, Project

    project = Project.open("my-accounts", environ=os.environ)
    plans = project.plan()
    reports = project.apply(plans, approve=lambda plans: plans.creates <= 5, bounds=Bounds(new_state=True))
    for report in reports.reports:
        for outcome in report.outcomes:
            print(report.parent, outcome.name, outcome.result.value)
    raise SystemExit(reports.exit_code)

To annotate a result, import its type from its own module: this package does not load them
all, so that a plan starts fast.
"""

from provisioner.project.project import Project

__all__ = ["Project"]
