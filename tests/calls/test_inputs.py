"""A step's parameters as a form asks for them."""

import datetime
import re
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

import pydantic
import pytest
from django import forms
from django.contrib.auth.models import User

from django_timelines.checks import check_workflows
from django_timelines.exceptions import DeclarationError
from django_timelines.fields import field_for
from django_timelines.forms import form_class, form_for, input_of
from django_timelines.inputs import form_field
from django_timelines.workflows import Secret, Workflow, step

from .workflows import Colour, Everything, Expense, Size

DECLARATION = Everything._declaration
FORM = form_class(DECLARATION, DECLARATION.step("ask"))
ID = uuid.UUID(int=7)
TYPED = {
    "text": "abc",
    "number": "3",
    "price": "1.50",
    "ratio": "0.5",
    "agreed": "on",
    "day": "2026-11-22",
    "moment": "2026-11-22T15:09",
    "clock": "15:09",
    "length": "1 02:03:04",
    "amount": "10",
    "colour": "b",
    "size": "2",
    "site": "https://example.org/",
    "id": str(ID),
    "code": " sesame ",
    "colours": ["r", "b"],
    "parts": '{"a": 1}',
    "maybe": "",
    "note": "",
    "limit": "",
}


def form_with(**fields: forms.Field) -> Any:
    return type("SomeForm", (forms.Form,), fields)


def widget_of(name: str) -> Any:
    return FORM.base_fields[name].widget


def test_each_type_has_the_field_that_a_person_would_choose() -> None:
    assert {name: type(field).__name__ for name, field in FORM.base_fields.items()} == {
        "text": "CharField",
        "number": "IntegerField",
        "price": "DecimalField",
        "ratio": "FloatField",
        "agreed": "BooleanField",
        "day": "DateField",
        "moment": "DateTimeField",
        "clock": "TimeField",
        "length": "DurationField",
        "amount": "TypedChoiceField",
        "colour": "TypedChoiceField",
        "size": "TypedChoiceField",
        "site": "URLField",
        "id": "UUIDField",
        "who": "ModelChoiceField",
        "code": "CharField",
        "colours": "TypedMultipleChoiceField",
        "parts": "TypedField",
        "maybe": "IntegerField",
        "note": "CharField",
        "limit": "IntegerField",
    }
    assert [widget_of(name).input_type for name in ("day", "moment", "clock", "code", "amount")] == [
        "date",
        "datetime-local",
        "time",
        "password",
        "radio",
    ]
    assert not widget_of("code").render_value


SECRETS: dict[Any, str] = {
    int: "1234",
    float: "1.5",
    Decimal: "1.50",
    datetime.date: "2026-11-22",
    datetime.datetime: "2026-11-22T15:09",
    datetime.time: "15:09",
    datetime.timedelta: "1 02:03:04",
    uuid.UUID: str(ID),
    pydantic.HttpUrl: "https://example.org/sesame",
    dict[str, int]: '{"pin": 1234}',
    Annotated[int, pydantic.Field(gt=999)]: "1234",
    int | None: "1234",
}


@pytest.mark.parametrize(("type", "typed"), SECRETS.items())
def test_a_secret_of_any_type_is_typed_unseen_and_never_printed_back(type: Any, typed: str) -> None:
    made = form_field(field_for("shop.Order", "pin", Annotated[Secret[type], "else"]))
    form = form_with(pin=made, other=forms.CharField())({"pin": typed})

    assert '<input type="password" name="pin" autocomplete="off"' in str(form)
    assert typed not in str(form)
    assert list(form.errors) == ["other"]


@pytest.mark.parametrize("type", [bool, bool | None, Colour, list[Colour], User, list[User]])
def test_a_secret_that_is_chosen_has_no_form_and_says_how_to_mend_it(type: Any) -> None:
    with pytest.raises(DeclarationError, match=r"pin: .* Write Secret\[str\], .* form_for"):
        form_field(field_for("shop.Order", "pin", Secret[type]))


def test_check_names_the_step_with_such_a_secret_unless_it_has_a_form_of_its_own(deploy: Any) -> None:
    safe = deploy(
        """
        class Parcel(Workflow):
            @step
            def lock(self, armed: Secret[bool]): ...

            @step(after=lock)
            def open(self, armed: Secret[bool]): ...
        """
    )
    form_for(safe.open)(form_with(armed=forms.CharField()))

    found = [message.msg.partition(" has")[0] for message in check_workflows() if message.id == "timelines.E016"]

    assert found == ["shop.Parcel.lock"]


def test_what_annotated_says_limits_and_names_the_field() -> None:
    text, number, price = (FORM.base_fields[name] for name in ("text", "number", "price"))

    assert (text.label, text.help_text, text.min_length, text.max_length) == ("Short text", "2 to 5.", 2, 5)
    assert (number.min_value, number.max_value) == (1, 9)
    assert (price.min_value, price.max_digits, price.decimal_places) == (0, 5, 2)


def test_choices_are_the_values_in_words() -> None:
    assert FORM.base_fields["amount"].choices == [("5", "5"), ("10", "10")]
    assert FORM.base_fields["colour"].choices == [("r", "Bright red"), ("b", "Deep blue")]
    assert FORM.base_fields["size"].choices == [("1", "Small"), ("2", "Very large")]


def test_what_has_a_default_may_be_left_out_and_begins_with_it() -> None:
    fields = FORM.base_fields

    assert (fields["note"].required, fields["note"].initial) == (False, "none")
    assert (fields["limit"].required, fields["limit"].initial) == (False, 3)
    assert (fields["maybe"].required, fields["text"].required) == (False, True)


def test_what_was_typed_becomes_what_the_step_takes(db) -> None:
    ada = User.objects.create_user("ada")
    form = FORM(TYPED | {"who": str(ada.pk)})
    assert form.is_valid(), form.errors

    given = input_of(form, DECLARATION.step("ask"))
    made = Everything.start(**given)

    assert given["amount"] == 10
    assert given["size"] is Size.VERY_LARGE
    assert given["colours"] == [Colour.RED, Colour.BLUE]
    assert (given["code"], given["note"], given["maybe"], given["who"]) == (" sesame ", "", None, ada)
    assert "limit" not in given
    assert given["price"] == Decimal("1.50")
    assert given["length"] == datetime.timedelta(days=1, hours=2, minutes=3, seconds=4)
    assert made.given["limit"] == "3"
    assert made.given["parts"] == "{'a': 1}"
    assert made.given["moment"].startswith("datetime.datetime(2026, 11, 22, 15, 9, tzinfo=")


@pytest.mark.parametrize(
    ("name", "typed", "says"),
    [
        ("amount", "7", "Select a valid choice"),
        ("size", "3", "Select a valid choice"),
        ("colours", ["x"], "Select a valid choice"),
        ("number", "0", "greater than or equal to 1"),
        ("parts", "{", "valid dictionary"),
        ("parts", '{"a": "x"}', "a: Input should be a valid integer"),
        ("who", "99", "Select a valid choice"),
        ("ratio", "nan", "Enter a number"),
        ("moment", "soon", "Enter a valid date/time"),
    ],
)
def test_what_is_none_of_the_type_is_said_at_its_field(db, name: str, typed: Any, says: str) -> None:
    form = FORM(TYPED | {name: typed})

    assert not form.is_valid()
    assert says in form.errors[name][0]


def test_an_address_that_may_be_none_may_be_left_empty() -> None:
    field = form_field(field_for("Shop", "site", pydantic.HttpUrl | None), required=False)

    assert field.clean("") is None


def test_a_few_choices_offer_no_answer_in_words_and_only_where_none_is_chosen_already() -> None:
    field = field_for("Shop", "size", Literal["small", "large"])

    chosen, asked = form_field(field, required=False, initial="small"), form_field(field, required=False)

    assert [label for _value, label in chosen.choices] == ["small", "large"]
    assert [label for _value, label in asked.choices] == ["No answer", "small", "large"]
    assert (chosen.clean(""), asked.clean("")) == (None, None)


def test_a_value_that_was_stored_is_shown_as_a_person_types_it() -> None:
    def shown(annotation: Any, stored: Any) -> Any:
        class Form(forms.Form):
            field = form_field(field_for("x", "field", annotation), initial=stored)

        return Form()["field"].as_widget()

    assert 'value="2026-11-22T09:09"' in shown(datetime.datetime, "2026-11-22T15:09:00Z")  # in the site's time zone
    assert "{&quot;a&quot;: [1]}" in shown(dict[str, list[int]], {"a": [1]})
    assert re.findall(r'value="(\d)"[^>]* checked', shown(Size, 2)) == ["2"]
    assert 'value="5"' in shown(int, 5)
    assert "value=" not in shown(int, "not a number any more")


def test_a_type_in_other_words_is_the_same_type() -> None:
    def made(annotation: Any) -> forms.Field:
        return form_field(field_for("x", "field", annotation))

    assert isinstance(made(int | None), forms.IntegerField)
    assert isinstance(made(Annotated[int | None, pydantic.Field(ge=3)]), forms.IntegerField)
    assert isinstance(made(bool | None), forms.NullBooleanField)
    assert isinstance(made(list[User]), forms.ModelMultipleChoiceField)
    assert made(str | None).clean("") is None


def test_a_form_of_the_authors_takes_the_place_of_the_made_one() -> None:
    class Letter(Workflow):
        @step
        def write(self, to: str, text: str = ""): ...

    @form_for(Letter.write)
    class LetterForm(forms.Form):
        to = forms.EmailField()
        again = forms.CharField()

    form = form_class(Letter._declaration, Letter._declaration.step("write"))({"to": "a@example.org", "again": "x"})

    assert isinstance(form, LetterForm)
    assert form.is_valid()
    assert input_of(form, Letter._declaration.step("write")) == {"to": "a@example.org"}


def test_a_model_form_asks_for_what_its_fields_are_called() -> None:
    class Rename(Workflow):
        @step
        def rename(self, first_name: str, last_name: str): ...

    @form_for(Rename.rename)
    class NameForm(forms.ModelForm):
        class Meta:
            model = User
            fields = ("first_name", "last_name")

    form = NameForm({"first_name": "Ada", "last_name": "Lovelace"})

    assert form.is_valid()
    assert input_of(form, Rename._declaration.step("rename")) == {"first_name": "Ada", "last_name": "Lovelace"}


def test_a_form_that_does_not_ask_for_what_the_step_needs_says_so() -> None:
    with pytest.raises(DeclarationError, match="does not ask for amount, which 'hand_in' needs"):

        @form_for(Expense.hand_in)
        class TooShort(forms.Form):
            owner = forms.CharField()

    with pytest.raises(DeclarationError, match="name a step of a class"):
        form_for("hand_in")  # type: ignore[arg-type]
