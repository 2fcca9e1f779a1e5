from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("projects", "0003_project_video")]

    operations = [
        migrations.AddField(
            model_name="project",
            name="purging_at",
            field=models.DateTimeField(db_column="purgingAt", editable=False, null=True),
        ),
    ]
