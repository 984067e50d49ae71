FORM base
