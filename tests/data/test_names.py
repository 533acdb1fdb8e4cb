"""What a data source's name can mean."""

import pytest

from crild.data.names import refuse_absent
from crild.errors import CrildError


@pytest.mark.parametrize("name", ["nope.csv", "nope", "a/b/c", "a/b.csv", ""])
def test_a_name_of_nothing_is_refused(name):
    with pytest.raises(CrildError, match="no such file or folder"):
        refuse_absent(name)


@pytest.mark.parametrize("name", ["demo", "demo:300", "owner/name", "owner/name:part", "glue:mrpc"])
def test_names_of_tweets_and_of_the_hub_may_be_there(name):
    refuse_absent(name)


def test_what_is_here_is_there(tmp_path):
    refuse_absent(str(tmp_path))
