"""The one vision-language-action model that every action head sits on."""
