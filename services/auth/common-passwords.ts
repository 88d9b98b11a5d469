/** Passwords that every list of leaks begins with, in lower case, from 4 characters on since digits at the ends do not count. */
export const commonPasswords: ReadonlySet<string> = new Set(
  `password passwort passw0rd p@ssw0rd p@ssword pass pa55word pa55w0rd motdepasse contrasena wachtwoord haslo parola senha
  qwerty qwertz qwertyui qwertyuiop qwertzuiop azerty azertyuiop asdfgh asdfghjk asdfghjkl zxcvbnm yxcvbnm qazwsx qazwsxedc
  1q2w3e4r 1q2w3e4r5t 1qaz2wsx 1qaz2wsx3edc q1w2e3r4 q1w2e3r4t5 zaq12wsx zaq1xsw2 qwer1234 asdf1234 abcd1234 abc12345 a1b2c3d4 aa123456
  12341234 11223344 12344321 11112222 12121212 13131313 10203040 147258369 159753 789456123 987654321 123123123 123321123 0123456789
  00000000 11111111 99999999 88888888 66666666 55555555 123456789 1234567890 12345678 31415926 27182818
  admin administrator root toor user guest test testtest tester demo login letmein welcome welcome1 changeme default secret secrets
  master mastermind hello helloworld hallo hallo123 iloveyou iloveu loveyou lovely love princess princesa sunshine flower summer
  winter spring autumn monday friday january february october november december football fussball baseball basketball soccer hockey
  liverpool chelsea arsenal barcelona realmadrid juventus bayern dragon monkey tiger lion eagle falcon shadow superman batman
  spiderman starwars pokemon naruto minecraft killer hunter ranger trustno trustno1 whatever freedom computer internet samsung
  google facebook instagram linkedin microsoft windows android iphone apple chocolate cookie banana orange cheese pepper ginger
  michael jennifer jessica ashley daniel andrew joshua matthew anthony william robert thomas charlie jordan michelle nicole
  maverick mustang corvette ferrari porsche mercedes yamaha harley matrix phoenix thunder diamond silver golden purple blue
  access accessdenied server database mysql postgres oracle cisco support service system manager office company business
  corporate temp temporary temppass newpass newpassword mypassword mypass thisismypassword passwordpassword correcthorsebatterystaple
  heddle`.split(/\s+/),
);
